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
# The image is built with the extra `all`. It includes the model of open_nsfw, but not that of `nudenet`, whose licence is
# AGPL-3.0: for a gate with nudenet, build with `docker build --build-arg EXTRAS=all,nudenet`. Other extras are listed the
# same way; the image then needs a gate that imports no plugin of the missing ones.
#
# All packages, including those of the build, are pinned with hashes by constraints.txt, which `make constraints` writes
# for each release. They are in separate layers: if only code changes, they are not built, pushed and pulled again.
FROM python:3.11-slim AS dependencies
ARG EXTRAS=all
WORKDIR /src
COPY pyproject.toml constraints.txt image_requirements.py ./
RUN python image_requirements.py "$EXTRAS" > requirements.txt \
    && sed -n '/^pip==/,/[^\]$/p' constraints.txt > pip.txt \
    && python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --require-hashes --requirement pip.txt \
    && /venv/bin/pip install --no-cache-dir --require-hashes --constraint constraints.txt --requirement requirements.txt

FROM dependencies AS build
RUN python image_requirements.py --build > requirements.txt \
    && python -m venv /tools \
    && /tools/bin/pip install --no-cache-dir --require-hashes --requirement pip.txt \
    && /tools/bin/pip install --no-cache-dir --require-hashes --constraint constraints.txt --requirement requirements.txt
COPY README.md LICENSE THIRD_PARTY.md hatch_build.py schema.prisma ./
COPY query_engine query_engine
COPY service service
COPY plugins plugins
RUN /tools/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /dist . \
    && /venv/bin/pip install --no-cache-dir --no-deps --prefix /own /dist/*.whl

FROM python:3.11-slim
RUN useradd --create-home --uid 10001 mediagate && install -d -o mediagate /data
COPY --from=dependencies /venv /venv
COPY --from=build /own /venv
COPY examples /app/examples
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 MEDIAGATE_DATA_DIR=/data HOST=0.0.0.0 PORT=8000
WORKDIR /app
USER mediagate
VOLUME /data
EXPOSE 8000
# For `serve`. compose.yaml has a health check for a worker with a port; a worker without one needs --no-healthcheck.
HEALTHCHECK --interval=10s --timeout=10s --start-period=60s CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/image-pipeline/readyz', timeout=5)"]
ENTRYPOINT ["mediagate"]
CMD ["serve"]
