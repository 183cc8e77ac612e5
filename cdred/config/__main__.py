"""`python -m cdred.config` writes config/schema.json, by which editors check and complete."""

from pathlib import Path

from cdred.config.json_schema import text

Path("config/schema.json").write_text(text(), encoding="utf-8")
