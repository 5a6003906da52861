# The API on a CPU, with the embedded judge inside: it needs no GPU, and downloads nothing when it runs.
#
#   docker build -t agentjudge .
#   docker run --rm -p 127.0.0.1:8010:8010 -e AGENTJUDGE_SERVE_KEY="$(openssl rand -hex 24)" -v served:/served agentjudge
#
# In a container it listens at all addresses, so it wants keys: with neither AGENTJUDGE_SERVE_KEY nor `--keys FILE` it
# says so and ends. What follows the image's name replaces `serve ...` below: `docker run --rm agentjudge demo`.

FROM python:3.11.14-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/agentjudge
ENV PATH=/opt/agentjudge/bin:$PATH
WORKDIR /src

# What it depends on is a layer of its own, which only another pyproject.toml makes anew.
ARG EXTRAS="serve docs vision postgres text otel"
COPY pyproject.toml ./
RUN python -c "import os, tomllib; p = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
print(*p['dependencies'], *(d for e in os.environ['EXTRAS'].split() for d in p['optional-dependencies'][e]), sep='\n')" \
    > requirements.txt && pip install -r requirements.txt

# agentjudge/tools, graphs and benchmarks are links to the folders beside it.
COPY README.md LICENSE ./
COPY tools tools
COPY graphs graphs
COPY benchmarks benchmarks
COPY agentjudge agentjudge
RUN pip install --no-deps . && pip check

FROM python:3.11.14-slim-bookworm
LABEL org.opencontainers.image.title="agentjudge" org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --uid 10001 --no-create-home --home-dir /served --shell /usr/sbin/nologin judge \
    && install -d -o judge -g judge /served
COPY --from=build /opt/agentjudge /opt/agentjudge
ENV PATH=/opt/agentjudge/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001
WORKDIR /served
VOLUME /served
EXPOSE 8010
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8010/health', timeout=4)"]
ENTRYPOINT ["agentjudge"]
CMD ["serve", "--host", "0.0.0.0", "--store", "/served"]
