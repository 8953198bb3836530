"""One annotation of captioned regions in the four forms that such files come in."""

from pathlib import PurePosixPath

FORMS = ("list", "late_list", "dict", "nested_dict")


def as_form(entries, form):
    """The content of an annotation file.

    Args:
        entries: dicts `f_path`, `global_caption`, `bbox_info` (regions, see `demo_surveillance_story.Scene`) and
            `duration` in seconds.
        form: "list": as `entries`; "late_list": parallel lists of captions and boxes, without `enabled`; "dict": by
            video; "nested_dict": by video and segment, here one over all of it.
    """
    if form == "list":
        return [{name: value for name, value in entry.items() if name != "duration"} for entry in entries]
    if form == "late_list":
        return [_late(entry) for entry in entries]
    named = {PurePosixPath(entry["f_path"]): entry for entry in entries}
    if form == "dict":
        return {path.name: _described(entry) for path, entry in named.items()}
    return {
        path.name: {f"{path.stem}_1.mp4": {"timestamps": [[0.0, entry["duration"]]]} | _described(entry)}
        for path, entry in named.items()
    }


def _late(entry):
    boxes = [[{"frame": k["frame"], "bbox": k["bbox"]} for k in r["keyframes"]] for r in entry["bbox_info"]]
    return {
        "video": entry["f_path"],
        "global_caption": entry["global_caption"],
        "region_captions": [region["caption"] for region in entry["bbox_info"]],
        "box_infos": boxes,
        "timestamps": None,
    }


def _described(entry):
    return {"global": {"Caption": entry["global_caption"]}, "region": entry["bbox_info"]}
