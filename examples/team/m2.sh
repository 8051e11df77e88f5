#!/bin/sh
# The second machine of the example: asks to be let in, waits for its invitation, joins and serves.
set -eu
settings=$HOME/.agent-secrets/config.json
if [ ! -f "$settings" ]; then
  secrets init
  secrets team request --name m2 >"$HOME/m2.request"
  mv "$HOME/m2.request" "$EXCHANGE/m2.request"
  until [ -f "$EXCHANGE/m2.invitation" ]; do sleep 0.2; done
  secrets team join "$EXCHANGE/m2.invitation" --json >"$HOME/team.json"
  node -e 'const { result } = JSON.parse(require("fs").readFileSync(0)); console.log(JSON.stringify({ team: result.team }))' \
    <"$HOME/team.json" >"$settings"
fi
exec secrets serve
