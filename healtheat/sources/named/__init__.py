"""What is common to formats that know classes by name and boxes by pixels: Pascal VOC, CVAT, LabelMe, …"""
