# Both towers of CLIP learn from captions of videos and of regions in them; frames are scored by texts of the classes.
clip_model = "ViT-B-32-quickgelu"  # a name of open_clip, or a JSON file with a configuration
clip_pretrained = "openai"  # a file of weights, or a name that open_clip downloads
clip_quick_gelu = None  # True: the activation of OpenAI's models, whatever the configuration says
global_feature = dict(type="MeanPooling")  # of a video; type="TransformerPooling" starts as the mean
region_weight = 0.1  # of the loss of regions; 0: without
hard_weight = 0.0  # of telling a region's caption from the wrong ones that the annotation has for it
bank = False  # True: texts of other classes are negatives as well
queue = 0  # pairs of former batches that are negatives as well
context_length = None  # tokens of the caption of a video; None: those of the tower (77), 248: stretched positions
frame_chunk = None  # most frames in one pass of the tower; None: all of a piece
recompute = "video"  # the memory of one video at any batch; "block": of a block; None: all is kept

model = dict(
    type="FGCLIP",
    clip=dict(model="${clip_model}", pretrained="${clip_pretrained}", quick_gelu="${clip_quick_gelu}"),
    classes="${class_names}",
    normal_class="${normal_class}",
    prompts="${frame_prompts}",
    template="a surveillance video of {}",
    global_feature="${global_feature}",
    frames="${num_frames}",
    region_weight="${region_weight}",
    hard_weight="${hard_weight}",
    duplicates="exclude",
    bank="${bank}",
    queue="${queue}",
    queue_warmup=200,
    dense="value",
    frame_chunk="${frame_chunk}",
    recompute="${recompute}",
    context_length="${context_length}",
    top=3,
    region_score=0.0,
)
