"""What language models write after counterfactual prompts, and the scores of these continuations."""
