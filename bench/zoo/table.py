"""The tables of docs/onnx.md, from what export and check wrote down."""
import collections
import math
import re

FLOAT_BOUND = 1e-3
INTEGER_SHARE = 0.95
BEGIN, END = "<!-- generated: import zoo -->", "<!-- end of import zoo -->"


def fault(row):
    """The stage that a file fails at, or nothing."""
    if row.get("stage"):
        return row["stage"]
    if not row.get("difference", math.inf) <= FLOAT_BOUND:
        return "difference"
    return ""


def outcome(row):
    if row.get("stage"):
        return f'{row["stage"]}: {row["error"]}'.replace("\n", " ")[:400]
    if "agreement" not in row:
        return f'difference {row.get("difference", math.nan):.1e}'
    text = f'difference {row["difference"]:.1e}, {100 * row["integer_macs"]:.1f} % in integers, ' \
           f'agreement {100 * row["agreement"]:.0f} %'
    if "octavo_int8_ms" in row:
        text += f', {row["onnxruntime_int8_ms"] / row["octavo_int8_ms"]:.2f} x as fast'
    return text


def equal(row):
    return row.get("difference", math.inf) <= FLOAT_BOUND


def integers(row):
    return equal(row) and row.get("integer_macs", 0) >= INTEGER_SHARE


def geometric_mean(numbers):
    return math.exp(sum(map(math.log, numbers)) / len(numbers)) if numbers else math.nan


def ratio(rows, precision):
    return geometric_mean([row[f"onnxruntime_{precision}_ms"] / row[f"octavo_{precision}_ms"] for row in rows
                           if f"octavo_{precision}_ms" in row])


def part(count, total):
    return f"{count} ({100 * count / total:.1f} %)" if total else "-"


def summary(exported, checked):
    yield "| from | exporter | files | imported | equal in float | quantized | >= 95 % of MACs in integers | " \
          "ONNX Runtime's top-1 the same | float speed | int8 speed |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    groups = collections.defaultdict(list)
    for file, row in exported.items():
        if not row["error"] and file in checked:
            groups[row["library"], row["exporter"]].append(checked[file])
    for (library, exporter), rows in sorted(groups.items()):
        total = len(rows)
        imported = sum(row.get("stage") not in ("import", "check") for row in rows)
        agreements = [row["agreement"] for row in rows if "agreement" in row]
        agreement = f"{100 * sum(agreements) / len(agreements):.1f} % of {len(agreements)}" if agreements else "-"
        yield f"| {library} | {exporter} | {total} | {part(imported, total)} | {part(sum(map(equal, rows)), total)} " \
              f'| {part(sum("integer_macs" in row for row in rows), total)} | {part(sum(map(integers, rows)), total)} ' \
              f'| {agreement} | {ratio(rows, "float"):.2f} | {ratio(rows, "int8"):.2f} |'


KINDS = re.compile(r"'[^']*'(?: and \d+ more)? \(((?:[^()]|\([^()]*\))*)\)")


def reasons(row):
    """What an error says, without the names of nodes and the numbers of shapes; of an import each kind by itself."""
    if row["stage"] != "import":
        return [f'{row["stage"]}: {generalized(row["error"].splitlines()[0] if row["error"] else "")}']
    found = {generalized(re.sub(r", opset \d+", "", kind)) for kind in KINDS.findall(row["error"])}
    return sorted(found) or [generalized(row["error"])]


def generalized(line):
    line = re.sub(r"/\S*/", "", line)
    line = re.sub(r"\[[^\]]*\]", "[...]", line)
    line = re.sub(r"(node|value|tensor|input) '[^']*'", r"\1", line)
    return re.sub(r"-?\d+(\.\d+)?", "#", line)[:200]


def refused(checked):
    """(reason, files) of all that fails, most frequent first."""
    groups = collections.defaultdict(list)
    for file, row in checked.items():
        if row.get("stage"):
            for reason in reasons(row):
                groups[reason].append(file)
        elif not equal(row):
            groups["difference above 1e-3"].append(f'{file} ({row.get("difference", math.nan):.1e})')
    return sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))


def float_layers(checked):
    """(operators and reason, share, files) of what stays in float32 in files with less than 95 % in integers."""
    groups = collections.defaultdict(list)
    for file, row in checked.items():
        if row.get("integer_macs", 1) < INTEGER_SHARE:
            for reason, share in row["float_macs"].items():
                groups[generalized(reason)].append((share, file))
    return sorted(groups.items(), key=lambda item: -sum(share for share, _ in item[1]))


def show(exported, checked, markdown):
    lines = [*summary(exported, checked), "", "Refused or different:", ""]
    for reason, files in refused(checked):
        names = ", ".join(sorted(file.removesuffix(".onnx") for file in files)[:4])
        lines.append(f"- {len(files)}: {reason} ({names}{', ...' if len(files) > 4 else ''})")
    lines += ["", "In float32 in files with less than 95 % of the multiply-accumulates in integers:", ""]
    for reason, shares in float_layers(checked):
        files = {file for _, file in shares}
        lines.append(f"- {reason}: {len(files)} files, for example {max(shares)[1]} ({100 * max(shares)[0]:.0f} %)")
    failed = [row for row in exported.values() if row["error"]]
    lines += ["", f"Not exported: {len(failed)}", ""]
    for row in failed:
        lines.append(f'- {row["file"].removesuffix(".onnx")}: {row["error"][:160]}')
    text = "\n".join(lines)
    if not markdown:
        print(text)
        return
    page = markdown.read_text()
    before, rest = page.split(BEGIN)
    markdown.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}")
