"""Write a task for lm-evaluation-harness, the capitals of 96 countries: `python examples/capitals.py DIR`.

DIR/capitals.yaml is the task, DIR/capitals.jsonl has its questions. Each has the right answer and three other capitals
of the same continent, which is also the group.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

CAPITALS = {
    "Africa": """Algeria Algiers, Angola Luanda, Cameroon Yaounde, Egypt Cairo, Ethiopia Addis Ababa, Ghana Accra,
        Kenya Nairobi, Libya Tripoli, Madagascar Antananarivo, Mali Bamako, Morocco Rabat, Mozambique
        Maputo, Namibia Windhoek, Niger Niamey, Nigeria Abuja, Rwanda Kigali, Senegal Dakar, Somalia
        Mogadishu, Sudan Khartoum, Tunisia Tunis, Uganda Kampala, Zambia Lusaka, Zimbabwe Harare, Liberia
        Monrovia""",
    "America": """Argentina Buenos Aires, Bolivia Sucre, Brazil Brasilia, Canada Ottawa, Chile Santiago, Colombia
        Bogota, Cuba Havana, Ecuador Quito, Guyana Georgetown, Haiti Port-au-Prince, Honduras Tegucigalpa,
        Jamaica Kingston, Nicaragua Managua, Paraguay Asuncion, Peru Lima, Suriname Paramaribo, Uruguay
        Montevideo, Venezuela Caracas, Belize Belmopan, Barbados Bridgetown, Bahamas Nassau, Dominica
        Roseau, Grenada St. George's, Mexico Mexico City""",
    "Asia": """Afghanistan Kabul, Armenia Yerevan, Azerbaijan Baku, Bangladesh Dhaka, Bhutan Thimphu, Cambodia
        Phnom Penh, China Beijing, Georgia Tbilisi, India New Delhi, Indonesia Jakarta, Iran Tehran, Iraq
        Baghdad, Japan Tokyo, Jordan Amman, Laos Vientiane, Lebanon Beirut, Malaysia Kuala Lumpur, Mongolia
        Ulaanbaatar, Nepal Kathmandu, Pakistan Islamabad, Philippines Manila, Thailand Bangkok, Vietnam
        Hanoi, Yemen Sanaa""",
    "Europe": """Albania Tirana, Austria Vienna, Belgium Brussels, Bulgaria Sofia, Croatia Zagreb, Denmark
        Copenhagen, Estonia Tallinn, Finland Helsinki, France Paris, Germany Berlin, Greece Athens, Hungary
        Budapest, Iceland Reykjavik, Ireland Dublin, Italy Rome, Latvia Riga, Norway Oslo, Poland Warsaw,
        Portugal Lisbon, Romania Bucharest, Serbia Belgrade, Spain Madrid, Sweden Stockholm, Ukraine Kyiv""",
}
TASK = """task: capitals
dataset_path: json
dataset_kwargs: {data_files: {test: capitals.jsonl}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_target: label
doc_to_choice: options
metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]
"""


def questions() -> list[dict[str, object]]:
    """The questions with their options, the place of the right one, and the continent."""
    rng, found = np.random.default_rng(0), []
    for continent, listed in CAPITALS.items():
        pairs = [" ".join(each.split()).split(" ", 1) for each in listed.split(",")]
        for country, capital in pairs:
            others = rng.choice([other for _, other in pairs if other != capital], 3, replace=False)
            options = [capital, *map(str, others)]
            order = rng.permutation(4)
            found.append(
                {
                    "question": f"The capital of {country} is",
                    "options": [options[place] for place in order],
                    "label": int(np.flatnonzero(order == 0)[0]),
                    "continent": continent,
                }
            )
    return found


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "capitals.yaml").write_text(TASK, encoding="utf-8")
    lines = [json.dumps(question) + "\n" for question in questions()]
    (folder / "capitals.jsonl").write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
