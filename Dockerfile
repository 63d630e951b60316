# One image for web processes, workers and migrations; `docker run … mediagate --help` lists the commands.
FROM python:3.11-slim AS build
WORKDIR /src
# Node brings Prisma's WebAssembly engine from npm while the package is built.
RUN apt-get update && apt-get install -y --no-install-recommends nodejs npm && rm -rf /var/lib/apt/lists/*
COPY pyproject.toml README.md hatch_build.py schema.prisma ./
COPY query_engine query_engine
COPY service service
COPY plugins plugins
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir ".[all]"

FROM python:3.11-slim
RUN useradd --create-home --uid 10001 mediagate && install -d -o mediagate /data
COPY --from=build /venv /venv
COPY examples /app/examples
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 MEDIAGATE_DATA_DIR=/data HOST=0.0.0.0 PORT=8000
WORKDIR /app
USER mediagate
EXPOSE 8000
# 40 s: drain_timeout_s and a little, so that jobs in flight end before the process does.
STOPSIGNAL SIGTERM
ENTRYPOINT ["mediagate"]
CMD ["serve"]
