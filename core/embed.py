"""embed.py - a file as an array of bytes in a C source: embed.py FILE NAME OUT

Defines `const unsigned char NAME[]` and `const size_t NAME_len`. Of an HTML page also `const char NAME_policy[]`, a
Content-Security-Policy that allows its own <style> and <script> elements by their hashes, requests to its own origin, and nothing
else.
"""
import base64
import hashlib
import pathlib
import re
import sys


def digest(text):
    return "'sha256-" + base64.b64encode(hashlib.sha256(text).digest()).decode() + "'"


def policy(page):
    def allowed(element):
        return " ".join(digest(body) for body in re.findall(rb"<%b>(.*?)</%b>" % (element, element), page, re.S))

    rules = ["default-src 'none'", f"script-src {allowed(b'script')}", f"style-src {allowed(b'style')}"]
    rules += ["connect-src 'self'", "img-src data:", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"]
    return "; ".join(rules)


def main(source, name, out):
    content = pathlib.Path(source).read_bytes()
    lines = [f"/* Made of {pathlib.Path(source).name} by embed.py. */", "#include <stddef.h>"]
    lines += [f"extern const unsigned char {name}[];", f"extern const size_t {name}_len;"]
    lines += [f"const unsigned char {name}[] = {{"]
    lines += [",".join(map(str, content[at : at + 32])) + "," for at in range(0, len(content), 32)]
    lines += ["};", f"const size_t {name}_len = {len(content)};"]
    if source.endswith(".html"):
        lines += [f"extern const char {name}_policy[];", f'const char {name}_policy[] = "{policy(content)}";']
    pathlib.Path(out).write_text("\n".join(lines) + "\n", encoding="ascii")


main(*sys.argv[1:])
