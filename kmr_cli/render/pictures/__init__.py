"""Values as pictures: images, channels of feature maps, attention maps and vectors; for the screen, pages and files."""
