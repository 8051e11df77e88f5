#!/bin/sh
# The first machine of the example: founds the team, serves, and lets m2 in. ADMIN_URL is the
# database, EXCHANGE a directory that both machines see.
set -eu
settings=$HOME/.agent-secrets/config.json
if [ ! -f "$settings" ]; then
  secrets init
  secrets team init --admin-url "$ADMIN_URL" --name m1 --no-paper --json >"$HOME/team.json"
  node -e 'const { result } = JSON.parse(require("fs").readFileSync(0)); console.log(JSON.stringify({ team: result.team }))' \
    <"$HOME/team.json" >"$settings"
fi
secrets serve &
daemon=$!
trap 'kill "$daemon"; wait "$daemon"' TERM INT
until [ -f "$EXCHANGE/m2.request" ]; do sleep 0.2; done
# A person would compare the words instead of --yes.
[ -f "$EXCHANGE/m2.invitation" ] ||
  secrets team add "$EXCHANGE/m2.request" --admin-url "$ADMIN_URL" --out "$EXCHANGE/m2.invitation" --yes
wait "$daemon"
