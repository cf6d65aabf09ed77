"""The main job: every frame of an export brought to the destination."""
