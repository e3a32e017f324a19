"""What requests hold and what answers hold, as pydantic models: the OpenAPI document is made of them."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, StringConstraints

__all__ = [
    "AnswerLine",
    "Attributes",
    "Event",
    "Explain",
    "Explained",
    "Forgot",
    "Health",
    "Id",
    "Import",
    "ImportCursor",
    "Imported",
    "ItemFound",
    "ItemsFound",
    "ListAnswer",
    "ListBody",
    "Lists",
    "ModelBody",
    "Models",
    "Name",
    "Number",
    "Predict",
    "Predicted",
    "RatingsBody",
    "RatingsOfUser",
    "Recommend",
    "Recommended",
    "Similar",
    "Stored",
    "Where",
]

Number = Annotated[FiniteFloat, Field(strict=True)]
Id = Annotated[str, StringConstraints(min_length=1, max_length=512, pattern=r"^[^\x00]+$")]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,100}$")]
History = dict[Id, Number] | list[Id]
Value = Annotated[str, StringConstraints(max_length=512, pattern=r"^[^\x00]*$")] | Number
Count = Annotated[int, Field(ge=0, le=1_000_000, strict=True)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Range(_Strict):
    """Numbers from `min` to `max`, both included; one may be left out."""

    min: Number | None = None
    max: Number | None = None


Where = dict[Id, Value | list[Value] | Range]


class _About(_Strict):
    """Whom a question is about, and which model answers it."""

    history: History | None = Field(
        None,
        description="What a person rated: item (id or title) → rating. Of interactions: a list of items.",
        examples=[{"318": 5, "296": 4.5}],
    )
    liked: Number | None = Field(None, description="From which rating on a thing is liked.")
    model: Name | None = Field(
        None, description="Name of a model; by default by `user`, or the largest share's."
    )
    user: Id | None = Field(
        None, description="An id by whose hash the model is chosen, where there are several."
    )


class Recommend(_About):
    """A list for somebody, or for many at once."""

    histories: list[History] | None = Field(None, description="Several people's, instead of `history`.")
    k: Annotated[int, Field(ge=1, strict=True)] = 10
    offset: Count = 0
    by: Literal["both", "rating", "interaction"] | None = Field(
        None, description="Who takes an item up and likes it, or one of both; null: all that the model has."
    )
    only: list[Id] | None = Field(None, description="Choose among these alone.")
    exclude: list[Id] = Field([], description="Leave these out.")
    only_lists: list[Name] | None = Field(None, description="Choose among the items of these lists alone.")
    exclude_lists: list[Name] = []
    where: Where | None = Field(
        None,
        description="Conditions on attributes, all of which must hold: those of the model's titles table, "
        "`ratings` (their number in training), and those that were put; a value, several, or min and max.",
        examples=[{"genre": ["Drama", "War"], "year": {"min": 1990}}],
    )
    include_seen: bool = False
    because: Annotated[int, Field(ge=0, le=50, strict=True)] = Field(3, description="Reasons of each line.")


class Predict(_About):
    """Predictions for some items."""

    items: list[Id]
    because: Annotated[int, Field(ge=0, le=50, strict=True)] = 0


class Explain(_About):
    """Why a prediction is what it is."""

    item: Id


class Because(BaseModel):
    """What one rating of the person adds to a prediction."""

    item: str
    title: str | None
    rating: float
    adds: float = Field(description="Negative: takes off.")


class Taken(BaseModel):
    """Why the person may take an item up: `everybody` and what each item of the history adds to it."""

    score: float = Field(description="The sum, on the scale of a share of people.")
    everybody: float = Field(description="What everybody gets: the item's popularity.")
    because: list[Because]


class AnswerLine(BaseModel):
    """One item."""

    item: str
    title: str | None
    rating: float | None = Field(description="Predicted, within the scale.")
    low: float | None = Field(description="80 % of such ratings lie between `low` and `high`.")
    high: float | None
    p_liked: float | None = Field(description="How probable it is that the rating is `liked` or more.")
    score: float = Field(description="What a list is ranked by.")
    support: int = Field(description="Training ratings of the item.")
    level: float | None = Field(description="What is predicted of somebody unknown.")
    because: list[Because] = Field(description="The ratings that add most to the prediction, or take off.")
    taken: Taken | None = Field(
        None, description="Why the person may take it up, in lists that are ranked by that; else null."
    )


class ListAnswer(BaseModel):
    """One person's part of an answer."""

    items: list[AnswerLine]
    unknown: list[str] = Field(description="What the model doesn't know of what was named.")


class Recommended(BaseModel):
    """A list; of `histories` a list each, in `results`."""

    model: str = Field(examples=["main@0f3a5c2b9d1e"])
    items: list[AnswerLine] | None = None
    unknown: list[str] | None = None
    results: list[ListAnswer] | None = None


class Predicted(BaseModel):
    """Predictions, in the order of what was asked; what the model doesn't know is in `unknown` instead."""

    model: str
    items: list[AnswerLine]
    unknown: list[str]


class Explained(AnswerLine):
    """A prediction as a sum: `level` and what each rating adds, the weightiest first; `taken` likewise."""

    model: str
    prediction: float | None = Field(description="The sum: `rating` before it is held within the scale.")
    unknown: list[str]


RatingsBody = dict[Id, Number]


class RatingsOfUser(BaseModel):
    """What is known of a person."""

    ratings: dict[str, float] = Field(description="Given to this server.")
    trained_on: dict[str, float] = Field(description="What the model's training had of them.")
    not_interested: list[str]


class Stored(BaseModel):
    """What was taken; it is on disk."""

    stored: int
    unknown: list[str] = Field([], description="Taken, too, but the model doesn't know these items yet.")


class Forgot(BaseModel):
    """What was deleted of a person."""

    ratings: int = Field(description="Events of ratings that were deleted.")
    events: int = Field(description="What was shown, clicked and dismissed.")
    training_histories: int = Field(description="Models from whose training histories they were taken.")
    note: str


class ImportRow(_Strict):
    """A rating to import."""

    user: Id
    item: Id
    rating: Number
    at: Annotated[int, Field(ge=0, le=1 << 40, strict=True)] | None = Field(None, description="Unix seconds.")


class Import(_Strict):
    """Ratings to import, and how far the import has come with them."""

    ratings: list[ImportRow]
    after: Id | None = Field(None, description="The cursor of the part before; null: this is the first.")
    cursor: Id = Field(description="Whatever the sender makes of it: a line number, a time.")


class ImportCursor(BaseModel):
    """How far an import has come; null: it has not begun."""

    cursor: str | None


class Imported(ImportCursor):
    """What was taken."""

    stored: int


class Event(_Strict):
    """What happened to items before a person."""

    user: Id
    items: list[Id]
    kind: Literal["shown", "clicked", "dismissed", "restored"]
    model: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_@.-]{1,100}$")] | None = Field(
        None, description="As the answer named it, from which the items came."
    )


class ItemFound(BaseModel):
    """An item."""

    item: str
    title: str | None
    ratings: int = Field(description="How many the training had.")
    mean: float | None
    attributes: dict[str, list[str | float]] = {}


class ItemsFound(BaseModel):
    """Items that match, the best known first."""

    model: str
    items: list[ItemFound]


class SimilarItem(BaseModel):
    """An item like another."""

    item: str
    title: str | None
    similarity: float = Field(description="Cosine of the items' vectors, −1 to 1.")


class Similar(BaseModel):
    """The items most like one."""

    model: str
    items: list[SimilarItem]


class ListBody(_Strict):
    """The items of a list."""

    items: list[Id]


class Lists(BaseModel):
    """The names of lists, and how many items each has."""

    lists: dict[str, int]


Attributes = dict[Id, Value | list[Value]]


class ModelBody(_Strict):
    """Which model to load again."""

    model: Name = "main"
    run: Name | None = Field(
        None, description="Name of a folder beside the one that is served; null: the same."
    )


class ModelFacts(BaseModel):
    """A model that is served."""

    model: str
    kind: str
    share: float
    items: int
    scale: list[float]
    step: float
    liked: float


class Models(BaseModel):
    """The models that are served."""

    models: dict[str, ModelFacts]


class Health(BaseModel):
    """That the server answers."""

    status: Literal["ok"]
