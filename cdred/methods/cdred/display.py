"""The presentation of CDRED."""

from __future__ import annotations

from cdred.learning.display import Display, Figure, Line

# Each predictor on both streams of data; dashed on the one that it is not trained on.
ERRORS = Figure(
    "errors",
    "Errors of the two predictors",
    tuple(
        Line(
            f"{predictor}_error_on_{stream}",
            f"{owner} on {data}",
            expert=predictor == "expert",
            dashed=stream != predictor,
        )
        for predictor, owner in (("expert", "expert's"), ("behaviour", "agent's"))
        for stream, data in (("expert", "expert data"), ("behaviour", "agent data"))
    ),
    caption="errors",
)
DISPLAY = Display(
    label="CDRED",
    summary="CDRED, trained from demonstrations without rewards",
    figures=(ERRORS,),
)
