#!/usr/bin/env -S python3
"""Writes short stories for small children from a grammar, and checks whether a text is one of them.

  make_stories.py generate --count N [--seed S]   N different stories, one a line
  make_stories.py parse [FILE] [--need SHARE]     how many lines parse; where the others fail
  make_stories.py stats [--count N] [--seed S]    words, lengths and how many stories differ

The same grammar (story_grammar.py, with the words of story_words.py) drives both directions. A story parses only if the whole of it
is derived from the grammar with one value for each variable: the same hero, friend and object from
the first sentence to the last, and pronouns that fit them. Needs nothing but Python 3.
"""
import argparse
import random
import re
import sys

from story_grammar import RULES
from story_words import SETS, VARIABLES

PRONOUNS = {"f": {"he": "she", "him": "her", "his": "her"}, "m": {"he": "he", "him": "him", "his": "his"}}


def capital(text):
    return text[:1].upper() + text[1:]


def is_kind(variable):
    """What sort of animal somebody is: the one thing that two of them may have in common."""
    return variable.rstrip("0123456789") in ("kind", "pkind")


def read_set(text):
    """The records of a set, as dictionaries: the columns, the name with its article, the pronouns."""
    lines = text.split("\n")
    fields = lines[0].split("|")
    records = []
    for line in lines[1:]:
        values = line.split("|")
        assert len(values) == len(fields), line
        record = dict(zip(fields, values))
        record["a"] = ("an " if record["name"][0] in "aeio" else "a ") + record["name"]
        record.update(PRONOUNS.get(record.get("sex"), {}))
        records.append(record)
    return records


# A template becomes a tree of tuples: ("text", string), ("var", name, field, capital),
# ("rule", name), ("all", nodes), ("any", nodes).
TOKEN = re.compile(r"[()|]|<\w+>|\{\^?\w+(?:\.\w+)?\}|[^()|<>{}]+")


def tidy(template):
    """Line breaks of the source stand for one space, or for none next to a mark of a choice."""
    template = re.sub(r"\s*\n\s*(?=[|)])|(?<=[(|])\s*\n\s*", "", template)
    return re.sub(r"\s+", " ", template)


def compile_template(template):
    tokens = TOKEN.findall(tidy(template))
    assert "".join(tokens) == tidy(template), template
    tokens.append(")")

    def choice(at):
        branches, nodes = [], []
        while True:
            token = tokens[at]
            at += 1
            if token in "|)" and token:
                branches.append(nodes[0] if len(nodes) == 1 else ("all", nodes))
                nodes = []
                if token == ")":
                    return (branches[0] if len(branches) == 1 else ("any", branches)), at
            elif token == "(":
                node, at = choice(at)
                nodes.append(node)
            elif token[0] == "<":
                nodes.append(("rule", token[1:-1]))
            elif token[0] == "{":
                name, _, field = token.strip("{^}").partition(".")
                nodes.append(("var", name, field or "name", token[1] == "^"))
            else:
                nodes.append(("text", token))

    node, end = choice(0)
    assert end == len(tokens), "unbalanced: " + template
    return node


class Grammar:
    def __init__(self):
        self.sets = {name: read_set(text) for name, text in SETS.items()}
        self.rules = {name: compile_template(text) for name, text in RULES.items()}

    def records(self, variable):
        return self.sets[VARIABLES.get(variable) or VARIABLES.get(variable.rstrip("0123456789"))
                         or variable.rstrip("0123456789")]

    def candidates(self, variable, bound):
        """The records a variable may still take beside those that are bound."""
        fitting = self.records(variable)
        if not is_kind(variable):
            taken = {record["name"] for other, record in bound.items() if not is_kind(other)}
            fitting = [r for r in fitting if r["name"] not in taken]
        # A girl or a boy has to agree with the hero's pronouns; an animal goes with any name.
        other = {"hero": "kind", "kind": "hero"}.get(variable)
        sex = bound[other]["sex"] if other in bound else ""
        if sex:
            fitting = [r for r in fitting if r["sex"] in ("", sex)]
        return fitting

    # Writing.

    def write(self, rng, rule="story"):
        bound, parts = {}, []
        self._write(self.rules[rule], rng, bound, parts)
        return "".join(parts)

    def _write(self, node, rng, bound, parts):
        # rng.random() alone: its sequence for a seed is the same in every version of Python.
        pick = lambda items: items[int(rng.random() * len(items))]
        kind = node[0]
        if kind == "text":
            parts.append(node[1])
        elif kind == "rule":
            self._write(self.rules[node[1]], rng, bound, parts)
        elif kind == "any":
            self._write(pick(node[1]), rng, bound, parts)
        elif kind == "all":
            for child in node[1]:
                self._write(child, rng, bound, parts)
        else:
            _, name, field, upper = node
            if name not in bound:
                bound[name] = pick(self.candidates(name, bound))
            value = bound[name][field]
            parts.append(capital(value) if upper else value)


class Parser:
    """Backtracking matcher of a text against the grammar.

    Every matcher yields (position behind the match, bindings) for each way to match. After a
    failure `far` is the farthest position that any way reached, and `wanted` what was looked for there.
    """

    def __init__(self, grammar):
        self.grammar = grammar

    def parse(self, text, rule="story"):
        """The bindings of the first derivation of the whole text, or None."""
        self.text, self.far, self.wanted = text, 0, set()
        for end, bound in self._match(self.grammar.rules[rule], 0, {}):
            if end == len(text):
                return bound
            self._miss(end, "the end")
        return None

    def _miss(self, position, wanted):
        if position > self.far:
            self.far, self.wanted = position, set()
        if position == self.far:
            self.wanted.add(wanted)

    def _literal(self, literal, at):
        if self.text.startswith(literal, at):
            return True
        same = 0
        while at + same < len(self.text) and self.text[at + same] == literal[same]:
            same += 1
        self._miss(at + same, literal[same:])
        return False

    def _match(self, node, at, bound):
        kind = node[0]
        if kind == "text":
            if self._literal(node[1], at):
                yield at + len(node[1]), bound
        elif kind == "rule":
            yield from self._match(self.grammar.rules[node[1]], at, bound)
        elif kind == "any":
            for child in node[1]:
                yield from self._match(child, at, bound)
        elif kind == "all":
            yield from self._match_all(node[1], 0, at, bound)
        else:
            yield from self._match_variable(node, at, bound)

    def _match_all(self, nodes, index, at, bound):
        if index == len(nodes):
            yield at, bound
            return
        for end, more in self._match(nodes[index], at, bound):
            yield from self._match_all(nodes, index + 1, end, more)

    def _match_variable(self, node, at, bound):
        _, name, field, upper = node
        known = name in bound
        seen = set()
        for record in [bound[name]] if known else self.grammar.candidates(name, bound):
            if record["name"] in seen:
                continue
            seen.add(record["name"])
            value = capital(record[field]) if upper else record[field]
            if self._literal(value, at):
                yield at + len(value), bound if known else {**bound, name: record}


def stories(count, seed):
    """`count` different stories, the same ones for the same seed."""
    grammar, rng, seen = Grammar(), random.Random(seed), set()
    while len(seen) < count:
        story = grammar.write(rng)
        if story not in seen:
            seen.add(story)
            yield story


def generate(options):
    for story in stories(options.count, options.seed):
        print(story)


def parse(options):
    source = sys.stdin if options.file == "-" else open(options.file, encoding="utf-8")
    parser = Parser(Grammar())
    total = good = 0
    for number, line in enumerate(source, 1):
        story = line.strip()
        if not story:
            continue
        total += 1
        if parser.parse(story):
            good += 1
        elif not options.quiet:
            wanted = " / ".join(repr(w[:20]) for w in sorted(parser.wanted)[:4])
            print(f"line {number}: ...{story[max(0, parser.far - 50):parser.far]}>>>{story[parser.far:parser.far + 30]}"
                  f"   (looked for {wanted})")
    share = good / total if total else 0.0
    print(f"{good} of {total} stories parse ({100 * share:.1f} %)")
    return 0 if total and share >= options.need else 1


def stats(options):
    texts = list(stories(options.count, options.seed))
    words = [len(text.split()) for text in texts]
    distinct = {word.lower() for text in texts for word in re.findall(r"[A-Za-z]+", text)}
    openings = len({" ".join(text.split()[:40]) for text in texts})
    print(f"{len(texts)} different stories ({openings} differ in their first 40 words), "
          f"{len(distinct)} different words, {min(words)} to {max(words)} words a story, "
          f"{sum(words) / len(words):.0f} on average")


def main():
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sub = top.add_subparsers(dest="command", required=True)
    for name, run, count in (("generate", generate, 10), ("stats", stats, 20000)):
        command = sub.add_parser(name)
        command.add_argument("--count", type=int, default=count)
        command.add_argument("--seed", type=int, default=1)
        command.set_defaults(run=run)
    command = sub.add_parser("parse")
    command.add_argument("file", nargs="?", default="-")
    command.add_argument("--need", type=float, default=1.0, help="the share that must parse for exit status 0")
    command.add_argument("--quiet", action="store_true", help="print the count only")
    command.set_defaults(run=parse)
    options = top.parse_args()
    return options.run(options) or 0


if __name__ == "__main__":
    sys.exit(main())
