"""`python -m cdred.reference` writes the reference pages and the schema of the configuration."""

from cdred.reference import FILES

for place, text in FILES.items():
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text(), encoding="utf-8")
    print(place)
