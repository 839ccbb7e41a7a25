"""Results of several folders side by side: studies, models, versions or dates."""
