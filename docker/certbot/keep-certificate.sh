#!/bin/sh
# Asks for a certificate for PUBLIC_HOST, and twice a day whether it has to be renewed. nginx answers the authority's
# question (nginx/templates/locations.inc.template) and reads a new certificate by itself.
set -eu

tls=/etc/nginx/tls
state=$tls/acme
umask 077
mkdir -p "$state"
mkdir -p "$tls/webroot"
chmod 755 "$tls/webroot"

install_certificate() {
  live=$state/config/live/$PUBLIC_HOST
  if cmp -s "$live/fullchain.pem" "$tls/fullchain.pem"; then return; fi
  cp "$live/privkey.pem" "$tls/privkey.pem.new"
  cp "$live/fullchain.pem" "$tls/fullchain.pem.new"
  mv "$tls/privkey.pem.new" "$tls/privkey.pem"
  mv "$tls/fullchain.pem.new" "$tls/fullchain.pem"
  # What signed the certificate that we had before.
  rm -f "$tls/ca.pem"
}

if [ -n "${ACME_EMAIL:-}" ]; then set -- --email "$ACME_EMAIL"; else set -- --register-unsafely-without-email; fi

while true; do
  # The authority's answers are read by nginx, whose user is ours.
  if certbot certonly --webroot --webroot-path "$tls/webroot" --domain "$PUBLIC_HOST" --cert-name "$PUBLIC_HOST" \
    --server "$ACME_SERVER" --agree-tos --non-interactive --keep-until-expiring \
    "$@" \
    --config-dir "$state/config" --work-dir "$state/work" --logs-dir "$state/logs"; then
    install_certificate
  fi
  sleep 43200 &
  wait $!
done
