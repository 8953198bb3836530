"""A caption file in each of the four forms, with the oddities that such files have."""

import json

LIST = [
    {
        "f_path": "UCF_Crimes_Videos/Abuse001_x264.mp4",
        "global_caption": "A man kicks a dog in a hall.",
        "fps": 30.0,
        "frames_count": 400,
        "bbox_info": [
            {
                "caption": "a man kicks",
                "start_frame": 192,
                "end_frame": 333,
                "keyframes": [
                    {"frame": 333, "bbox": [0.3844, 0.525, 0.6125, 0.925], "enabled": False},
                    {"frame": 192, "bbox": [0.1094, 0.3583, 0.6125, 0.925], "enabled": True},
                ],
            },
            {"caption": "a dog", "keyframes": [{"frame": 20, "bbox": [-1e-16, 0, 0.5, 1 + 2e-16], "enabled": True}]},
            {"caption": "", "keyframes": [{"frame": 5, "bbox": [0, 0, 0.5, 0.5]}, {"frame": 9, "bbox": [0, 0, 1, 1]}]},
        ],
    },
    {
        "f_path": "UCF_Crimes_Videos/Burglary002_x264.mp4",
        "global_caption": "两个 men break in.",
        "bbox_info": [{"caption": "一个人打破窗户", "keyframes": [{"frame": 3.0, "bbox": [0, 0, 1, 1]}]}],
        "timestamps": [1.5, 4],
    },
    {"f_path": "Normal_Videos003_x264.mp4", "global_caption": None, "bbox_info": []},
]
LATE_LIST = [
    {  # more boxes than captions: the surplus takes the caption of the video
        "video": "Arson011_x264.mp4",
        "global_caption": "A house burns",
        "region_captions": ["fire"],
        "box_infos": [[{"frame": 3, "bbox": [0, 0, 1, 1]}], [{"frame": 7, "bbox": [0, 0, 0.5, 0.5]}]],
        "timestamps": None,
    },
    {  # more captions than boxes: no place in the picture
        "video": "Assault006_x264.mp4",
        "global_caption": "A blow",
        "region_captions": ["a fist", "a face"],
        "box_infos": [[{"frame": 1, "bbox": [0, 0, 1, 1]}, {"frame": 1, "bbox": [0, 0, 0.5, 1]}]],
        "timestamps": [],
    },
    {
        "video": "Normal_Videos_015_x264.mp4",
        "global_caption": "People walk.",
        "region_captions": ["a walker"],
        "box_infos": [[]],
        "timestamps": [[0, 12.5]],
    },
    {"video": "Normal_Videos_019_x264.mp4", "global_caption": "people  walk", "region_captions": [], "box_infos": [[]]},
]
DICT = {
    "Fighting033_x264.mp4": {
        "global": {"Caption": "Two men fight"},
        "region": [{"Caption": "a punch", "keyframes": [{"frame": 10, "bbox": [0, 0, 1, 1], "enabled": True}]}],
    },
    "RoadAccedents002_x264": {"global": {"caption": "A crash"}, "region": [{"caption": "a car"}]},
    "Shooting004_x264": {"global": {"Caption": "A shot"}},
    "somewhere": {"global": {}, "region": [], "category": "Vandalism"},
}
NESTED_DICT = {
    "Normal_Videos308_3_x264.mp4": {
        "Normal_Videos308_3_x264_0": {"timestamps": [[0.0, 9.9]], "global": {"Caption": "A shop"}, "region": []},
        "Normal_Videos308_3_x264_1": {
            "timestamps": [[9.9, 20]],
            "global": {"Caption": "A shop."},
            "region": [{"caption": "a clerk"}],
        },
        "Normal_Videos308_3_x264_2": {"timestamps": [[20, 30]], "region": []},
    }
}
FORMS = {"list": LIST, "late_list": LATE_LIST, "dict": DICT, "nested_dict": NESTED_DICT}


def write_form(folder, name, content=None):
    """Write a caption file and give its path."""
    path = folder / f"{name}.json"
    path.write_text(json.dumps(FORMS[name] if content is None else content, ensure_ascii=False), encoding="utf-8")
    return path
