# One image for web processes, workers and migrations; `docker run --rm mediagate --help` lists the commands.
#
#   docker build --tag mediagate .
#   docker run --init --publish 127.0.0.1:8000:8000 --volume mediagate:/data mediagate        the demo, all in one process
#
# Your own gate, in an image on top of this one:
#
#   FROM mediagate
#   COPY media.py /app/
#   ENV MEDIAGATE_GATE=media:gate
#
# The extra `all` brings NudeNet's model, whose licence is AGPL-3.0. To do without, name the extras that you need but
# `nudenet` (`docker build --build-arg EXTRAS=node,postgres,s3,heic,fast`), and give the image a gate that does not
# import it: one with a model of your own (onnx_moderation), or with moderation="off".
FROM python:3.11-slim AS build
ARG EXTRAS=all
WORKDIR /src
COPY pyproject.toml README.md LICENSE hatch_build.py schema.prisma ./
COPY query_engine query_engine
COPY service service
COPY plugins plugins
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir ".[$EXTRAS]"

FROM python:3.11-slim
RUN useradd --create-home --uid 10001 mediagate && install -d -o mediagate /data
COPY --from=build /venv /venv
COPY examples /app/examples
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 MEDIAGATE_DATA_DIR=/data HOST=0.0.0.0 PORT=8000
WORKDIR /app
USER mediagate
VOLUME /data
EXPOSE 8000
# For `serve`; a worker that answers on a port has one in compose.yaml, and one that does not needs --no-healthcheck.
HEALTHCHECK --interval=10s --timeout=10s --start-period=60s CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/image-pipeline/readyz', timeout=5)"]
ENTRYPOINT ["mediagate"]
CMD ["serve"]
