#!/bin/sh
# Restarts the web processes of this machine one after the other, each when the one before it takes uploads again, then
# the workers. Stops at the first that does not become ready; the remaining ones keep running.
#
#   rolling-restart.sh "8000 8001" "9464 9465"

set -eu

restart() {
    systemctl restart "$1"
    curl --silent --fail --output /dev/null --retry 90 --retry-delay 1 --retry-all-errors --max-time 15 "$2/readyz" || {
        echo "$1 is not ready after 90 s; the others were not restarted" >&2
        exit 1
    }
}

for port in $1; do
    restart "mediagate-web@$port.service" "http://127.0.0.1:$port/image-pipeline"
done
for port in ${2:-}; do
    restart "mediagate-worker@$port.service" "http://127.0.0.1:$port"
done
