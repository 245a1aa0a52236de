# Turns FOLDER/*.vl.json into FOLDER/*.svg: python render_svg.py FOLDER
import pathlib
import sys

import vl_convert

for path in sorted(pathlib.Path(sys.argv[1]).glob("*.vl.json")):
    svg = vl_convert.vegalite_to_svg(path.read_text(encoding="utf-8"))
    path.with_name(path.name.removesuffix(".vl.json") + ".svg").write_text(svg, encoding="utf-8")
