"""The chart: three panels, drawn by gnuplot from a data file and a script that are written here."""
import shutil
import subprocess

from lib.process import Failure
from lib.report import median_of, with_figures

# (work, title of the panel, figure, logarithmic)
PANELS = (
    ("unary-64", "Unary call of 64 B, one core, p50, us", "p50_us", False),
    ("pipelined-64", "64 in flight, one core, calls/s", "calls_per_s", True),
    ("download", "Stream of 64 KiB chunks, one core, GB/s", "gb_per_s", False),
)
PIN = "same"

# Short names fit under the bars.
NAMES = {"raw": "raw socket", "hostcall": "hostcall", "grpc-cq": "gRPC, queue", "grpc-sync": "gRPC, sync",
         "grpc-bidi": "gRPC, bidi", "capnp": "Cap'n Proto", "sd-bus": "sd-bus", "thrift": "Thrift"}

SCRIPT = """\
set terminal svg size 1100,380 dynamic background rgb 'white' font 'sans,11'
set output '{svg}'
set multiplot layout 1,3
set style fill solid 0.85 noborder
set boxwidth 0.7
set bmargin 7
set grid y
unset key
set xtics rotate by -40 nomirror
set ytics nomirror
set format y '%.0s%c'
set xrange [-0.6:*]
"""
PANEL = """\
set title "{title}"
{scale}
set yrange [{low}:*]
plot '{data}' using 0:2:xtic(1) with boxes linecolor rgb '#4878a8'
"""


def draw(records, svg, directory):
    if shutil.which("gnuplot") is None:
        raise Failure("no chart: there is no gnuplot")
    script = [SCRIPT.format(svg=svg)]
    for work, title, figure, logarithmic in PANELS:
        rows = rows_of(records, work, figure)
        if not rows:
            continue
        data = directory / f"chart-{work}"
        data.write_text("".join(f'"{name}" {value}\n' for name, value in rows))
        script.append(panel(title, data, rows, logarithmic))
    if len(script) == 1:
        raise Failure("no chart: nothing was measured for it")
    path = directory / "chart.gnuplot"
    path.write_text("".join(script) + "unset multiplot\n")
    done = subprocess.run(["gnuplot", str(path)], capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise Failure(f"gnuplot: {done.stderr.strip()}")


def panel(title, data, rows, logarithmic):
    # A bar cannot begin at 0 of a logarithmic axis: it begins at the power of ten below the least.
    low = 10 ** (len(str(int(min(value for _, value in rows)))) - 1) if logarithmic else 0
    return PANEL.format(title=title, data=data, low=low, scale=f"{'set' if logarithmic else 'unset'} logscale y")


def rows_of(records, work, figure):
    rows = []
    for system, name in NAMES.items():
        own = [record for record in with_figures(records)
               if (record.system, record.work, record.pin) == (system, work, PIN)]
        value = median_of(own, figure)
        if value is not None:
            rows.append((name, value))
    return rows
