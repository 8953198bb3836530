"""Commands that keep in files what networks make of videos: features of backbones and CLIP, predictions of a pair."""
