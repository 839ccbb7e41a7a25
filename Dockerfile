# Audits:              docker build --tag evenhand .
# Training on CPUs:    docker build --tag evenhand:train --build-arg EXTRA=train .
# A table in this folder, as yourself, so that the results are your files:
#     docker run --rm --user "$(id -u):$(id -g)" --volume "$PWD:/work" evenhand \
#         audit people.csv --label hired --prediction guess --group sex --out audit

FROM python:3.11-slim AS build
COPY . /source
RUN python -m venv /opt/build \
    && /opt/build/bin/pip install --no-cache-dir --constraint /source/constraints.txt build \
    && /opt/build/bin/python -m build --wheel --outdir /dist /source

FROM python:3.11-slim
# One of pyproject.toml's extras, or none. The index of PyTorch has builds for CPUs, without gigabytes of CUDA.
ARG EXTRA=""
RUN --mount=type=bind,from=build,source=/dist,target=/dist \
    --mount=type=bind,source=constraints.txt,target=/constraints.txt \
    pip install --no-cache-dir --constraint /constraints.txt \
        --extra-index-url https://download.pytorch.org/whl/cpu \
        "$(echo /dist/evenhand-*.whl)${EXTRA:+[$EXTRA]}"
# Models and reports may be cached under HOME, by whoever runs the container.
RUN useradd --create-home --uid 1000 evenhand && install --directory --mode 1777 /work /cache
ENV HOME=/cache
USER 1000
WORKDIR /work
ENTRYPOINT ["evenhand"]
CMD ["--help"]
