#!/bin/sh
# Is all ready, and then the training, resumed where it was interrupted: start_training.sh CONFIG [OPTIONS of train]
set -e
python3 "$(dirname "$0")/verify_training_ready.py" "$1"
exec python3 "$(dirname "$0")/../train.py" "$@" --resume auto
