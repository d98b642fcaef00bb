"""A training run as one page: curves, classes, mistakes and their pictures, what the model looks at.

>>> import tempfile
>>> from pathlib import Path
>>> from cnnrs import reporting
>>> with tempfile.TemporaryDirectory() as folder:
...     _ = (Path(folder) / "history.csv").write_text("epoch,loss,val_loss\\n1,0.9,1.0\\n2,0.5,0.7\\n")
...     reporting.write(folder).name
'report.html'
"""

from cnnrs.reporting.recorder import RunReport
from cnnrs.reporting.serving import LiveReport, live
from cnnrs.reporting.writing import write

__all__ = ["LiveReport", "RunReport", "live", "write"]
