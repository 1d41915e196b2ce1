"""What the service takes and answers. Whatever does not fit is refused with 422 and the name of the field."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Centimetres = Annotated[float, Field(strict=True, ge=0, le=100, allow_inf_nan=False)]
Species = Literal["setosa", "versicolor", "virginica"]


class Flower(BaseModel):
    """A flower to classify. `country` and `device` tell where the request comes from, for slices of the metrics."""

    model_config = ConfigDict(extra="forbid")

    features: Annotated[list[Centimetres], Field(min_length=4, max_length=4)] = Field(
        description="sepal length, sepal width, petal length and petal width, in centimetres",
        examples=[[5.1, 3.5, 1.4, 0.2]],
    )
    country: Annotated[str, Field(pattern="^[A-Z]{2}$")] | None = None
    device: Annotated[str, Field(pattern="^[a-z0-9_-]{1,16}$")] | None = None


class Answer(BaseModel):
    """The likeliest species and its probability. `request_id` is what a label refers to later."""

    model_config = ConfigDict(validate_by_name=True)

    request_id: str
    model_version: str
    species: Species = Field(alias="class")
    probability: float


class Truth(BaseModel):
    """What a request's flower was; null retracts what was said before."""

    model_config = ConfigDict(extra="forbid")

    request_id: Annotated[str, Field(pattern="^[!-~]{1,64}$")]
    label: Species | None
    revenue: Annotated[float, Field(strict=True, allow_inf_nan=False)] | None = None


def _listed(given: Any) -> Any:
    return [given] if isinstance(given, dict) else given


Truths = Annotated[list[Truth], BeforeValidator(_listed), Field(min_length=1, max_length=1000)]


class Received(BaseModel):
    """How many labels were new, corrections and repetitions; orphans, counted as well, name no known request."""

    new: int
    corrected: int
    repeated: int
    orphan: int
