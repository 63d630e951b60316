#!/bin/sh
# Restarts the web processes of this machine one after the other, each when the one before it takes uploads again, then
# the workers. Stops at the first that does not become ready; the remaining ones keep running.
#
#   rolling-restart.sh "8000 8001" "9464 9465"

set -eu

for port in $1; do
    systemctl restart "mediagate-web@$port.service"
    curl --silent --show-error --fail --output /dev/null --retry 90 --retry-delay 1 --retry-all-errors --max-time 15 \
        "http://127.0.0.1:$port/image-pipeline/readyz"
done
for port in ${2:-}; do
    systemctl restart "mediagate-worker@$port.service"
    curl --silent --show-error --fail --output /dev/null --retry 90 --retry-delay 1 --retry-all-errors --max-time 15 \
        "http://127.0.0.1:$port/readyz"
done
