# A sentence for every class of UCF-Crime, to start learning from.
class_prompts = {
    "Normal": "a surveillance video of an ordinary day without any incident",
    "Abuse": "a surveillance video of someone hurting a person or an animal that cannot defend itself",
    "Arrest": "a surveillance video of the police taking a person into custody",
    "Arson": "a surveillance video of someone setting a place on fire",
    "Assault": "a surveillance video of someone suddenly attacking another person",
    "Burglary": "a surveillance video of someone breaking into a house or a shop",
    "Explosion": "a surveillance video of a blast with fire and smoke",
    "Fighting": "a surveillance video of several people fighting each other",
    "RoadAccidents": "a surveillance video of vehicles crashing on a road",
    "Robbery": "a surveillance video of someone taking money by threat or force",
    "Shooting": "a surveillance video of someone firing a gun",
    "Shoplifting": "a surveillance video of a customer hiding goods without paying",
    "Stealing": "a surveillance video of someone taking what belongs to another",
    "Vandalism": "a surveillance video of someone damaging property on purpose",
}
