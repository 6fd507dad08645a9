#!/bin/sh
# Has nginx read its certificate again when that has changed, whoever changed it. Started by the image's entry point.
set -eu

fingerprint() { cat /etc/nginx/tls/fullchain.pem /etc/nginx/tls/privkey.pem 2>/dev/null | sha256sum; }

watch() {
  known=$(fingerprint)
  while sleep "${CERTIFICATE_CHECK_SECONDS:-10}"; do
    now=$(fingerprint)
    if [ "$now" = "$known" ]; then continue; fi
    # Half a change, or a wrong one, is tried again at the next look; nginx keeps what it has.
    if nginx -t -q && nginx -s reload; then
      known=$now
      echo "nginx: certificate changed, reloaded" >&2
    fi
  done
}

watch &
