"""Colours and sentences of the generated surveillance set; several wordings each, some without a colour on purpose."""

RGB = {
    "red": (215, 40, 40),
    "blue": (40, 70, 225),
    "yellow": (225, 210, 50),
    "white": (240, 240, 240),
}
COLOURS = tuple(RGB)

NORMAL = ("Nothing unusual happens in the street.", "nothing unusual happens in the street")
PASSERS = {
    "person": ("A person in {0} walks along the street.", "Somebody in {0} passes by."),
    "car": ("A {0} car drives along the street.", "A {0} car passes by."),
}

# by class: what is said of the whole video, of the event's main thing, and of the person beside it; {0} {1} are colours
TEXTS = {
    "Arson": {
        "video": (
            "A fire burns in the street.",
            "Flames rise and spread, a person in {1} is near.",
            "Somebody sets a fire.",
        ),
        "region": ("an orange fire grows", "flames rise from the ground", "An orange fire grows."),
        "person": ("a person in {1} walks away from the fire", "a person in {1} near the fire"),
    },
    "Fighting": {
        "video": (
            "Two people fight in the street.",
            "A fight between a person in {0} and a person in {1}.",
            "A person in {0} beats a person in {1}.",
        ),
        "region": ("a person in {0} fights with a person in {1}", "two people in {0} and {1} beat each other"),
        "person": ("a person in {1} walks by the fight", "a person in {1} near the fight"),
    },
    "RoadAccidents": {
        "video": (
            "A {0} car crashes.",
            "A car crashes in the street.",
            "An accident of a {0} car, smoke rises.",
        ),
        "region": ("a {0} car crashes and smokes", "smoke rises from a wrecked {0} car"),
        "person": ("a person in {1} walks away from the crash", "a person in {1} near the crash"),
    },
    "Stealing": {
        "video": (
            "A thief takes a box away.",
            "A person in {0} steals a green box.",
            "A thief in {0} carries a green box away.",
        ),
        "region": ("a thief in {0} carries a green box", "a person in {0} takes a green box away"),
        "person": ("a person in {1} walks by the thief", "a person in {1} near the thief"),
    },
}
