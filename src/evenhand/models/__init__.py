"""Base models: found, checked, loaded in float32."""
