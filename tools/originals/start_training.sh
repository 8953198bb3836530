#!/bin/sh
# Checks whether CONFIG is ready, and trains it, resumed where it was interrupted: start_training.sh CONFIG [OPTIONS of train]
set -e
here=$(dirname "$0") take=1
[ $# -gt 0 ] || { echo "usage: $0 CONFIG [OPTIONS of train]" >&2; exit 2; }
( # CONFIG and the overrides; the check takes no other options
    for word do shift; case $word in --cfg[-_]options*|--options*) take=1;; --*) take=;; esac; [ ! "$take" ] || set -- "$@" "$word"; done
    python3 "$here/verify_training_ready.py" "$@" )
exec python3 "$here/../train.py" "$@" --resume auto
