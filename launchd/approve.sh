#!/bin/sh
# Asks by a dialog of macOS, for approval.command: 0 yes, 3 yes for the time of the rule, 1 no, 2 no answer.
answer=$(osascript -e 'on run argv' \
  -e 'display dialog (item 1 of argv) with title "agent-secrets" buttons {"Deny", "For a while", "Once"} default button "Deny" giving up after 55' \
  -e 'if gave up of result then return "none"' \
  -e 'return button returned of result' \
  -e 'end run' "$1") || exit 2
case $answer in
  Once) exit 0 ;;
  "For a while") exit 3 ;;
  Deny) exit 1 ;;
  *) exit 2 ;;
esac
