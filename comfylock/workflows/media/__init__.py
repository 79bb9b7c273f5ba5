"""Workflows inside pictures, videos, sound, scenes and archives: containers -> the texts in them.

Every container has a small walker of its own that seeks from part to part, reads nothing but parts
that hold text, and never decodes a pixel or a sample. Libraries were weighed and left. Pillow
allocates the whole canvas to open an animated WebP, refuses files whose picture data is damaged
though their EXIF is whole, and a compressed PNG text beyond 1 MB. mutagen is under the GPL and
gives the keys of MP4 files as numbers. tinytag takes time that grows with the square of the number
of comments (12 s for a file of 0.4 MB).
"""
