"""Random expert distillation: CDRED's expert term alone, which is its reward at zeta 1."""
