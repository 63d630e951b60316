# One image for web processes, workers and migrations; `docker run … mediagate --help` lists the commands.
FROM python:3.11-slim AS build
WORKDIR /src
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
ENTRYPOINT ["mediagate"]
CMD ["serve"]
