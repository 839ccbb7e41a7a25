"""Small benchmarks of one's own in the harness's format: files of JSON lines, with a YAML beside them."""

from __future__ import annotations

import json
from pathlib import Path

_CAPITALS = {
    "Ankara": ("Turkey", "asia"),
    "Athens": ("Greece", "europe"),
    "Lisbon": ("Portugal", "europe"),
    "Tokyo": ("Japan", "asia"),
}

_TASKS = {
    "capitals": """\
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_target: label
doc_to_choice: options
metric_list: [{metric: acc}, {metric: acc_norm}]
""",
    "sums": """\
output_type: generate_until
doc_to_text: "{{question}}"
doc_to_target: "{{options[label]}}"
generation_kwargs: {until: ["\\n"], max_gen_toks: 3, do_sample: false}
metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]
""",
    "essays": """\
output_type: loglikelihood
doc_to_text: "{{question}}"
doc_to_target: " {{options[label]}}"
process_results: !function grades.process_results
metric_list:
  - {metric: grade, aggregation: mean, higher_is_better: true}
  - {metric: oddness, aggregation: mean, higher_is_better: false}
  - {metric: perplexity}
""",
}

_GRADES = '''\
"""Grades of answers, which are no shares."""


def process_results(document, results):
    """Return a grade from 0 to 10, whether the answer is odd, and its log-likelihood."""
    ((likelihood, _),) = results
    return {"grade": max(0.0, 10 + likelihood / 20), "oddness": float(likelihood < -40), "perplexity": likelihood}
'''


def documents(number: int) -> list[dict[str, object]]:
    """Return questions with two options, four to a template, in two regions."""
    rows = []
    for index in range(number):
        capital, (country, region) = list(_CAPITALS.items())[index % 4]
        options = [capital, "Paris"] if index % 3 else ["Paris", capital]
        question = f"Question {index // 4}: the capital of {country} is"
        about = {"region": region, "template": index // 2}
        rows.append({"question": question, "options": options, "label": options.index(capital), **about})
    return rows


def write_benchmarks(folder: Path, number: int = 48) -> None:
    """Write the tasks `capitals`, `sums` and `essays`, and their documents."""
    lines = "".join(f"{json.dumps(row)}\n" for row in documents(number))
    (folder / "capitals.jsonl").write_text(lines, encoding="utf-8")
    (folder / "grades.py").write_text(_GRADES, encoding="utf-8")
    for name, text in _TASKS.items():
        head = f"task: {name}\ndataset_path: json\ndataset_kwargs: {{data_files: {{test: capitals.jsonl}}}}\n"
        whole = f"{head}test_split: test\n{text}metadata: {{version: 1.0}}\n"
        (folder / f"{name}.yaml").write_text(whole, encoding="utf-8")
