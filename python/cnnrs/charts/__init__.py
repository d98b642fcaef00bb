"""Drawings and tables as text: SVG, HTML and PNG, for reports and notebooks. They need no library.

Colours are readable on light and on dark paper; text takes the colour of the page around it.
"""

from cnnrs.charts.drawn import Drawn, Plotted
from cnnrs.charts.heat_map import HeatMap
from cnnrs.charts.line_chart import LineChart
from cnnrs.charts.png import data_url, png
from cnnrs.charts.training import training_charts

__all__ = ["Drawn", "HeatMap", "LineChart", "Plotted", "data_url", "png", "training_charts"]
