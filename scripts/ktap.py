#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Judge test output strictly: usage: ktap.py kunit|selftest EXPECTED [OPTION] <OUTPUT

A test that is missing, skipped, out of order, unfinished or not in EXPECTED
fails the run, as one that says "not ok" does.

  ktap.py kunit EXPECTED --arch uml|qemu [--update]
      OUTPUT is a kernel log. Lines of EXPECTED: SUITE CASES [uml|qemu]
  ktap.py selftest EXPECTED [--update] PROGRAM...
      OUTPUT is that of the guest's runtests. Lines of EXPECTED: PROGRAM TEST
      Only the named programs count; a name that ends in ".32" is the 32-bit build.

--update writes what was seen into EXPECTED; a failed test is still a failure.
"""
import argparse
import re
import sys

RESULT = re.compile(r'^( *)(not ok|ok) (\d+)(?: -)? ?([^#]*?)\s*(?:# *(.*))?$')
PLAN = re.compile(r'^( *)1\.\.(\d+)')
STAMP = re.compile(r'^(?:<\d>)?\[ *\d+\.\d+\](?:\[ *[TC]\d+\])? ?')


def expected_lines(path):
    """The lines of a file of expectations, split, without comments."""
    with open(path, encoding='utf-8') as file:
        for line in file:
            line = line.split('#')[0].split()
            if line:
                yield line


def rewrite(path, lines):
    """Keep the comment at the head of the file, replace the rest."""
    head = []
    with open(path, encoding='utf-8') as file:
        for line in file:
            if not line.startswith('#'):
                break
            head.append(line)
    with open(path, 'w', encoding='utf-8') as file:
        file.writelines(head + [line + '\n' for line in lines])


class Judge:
    """Counts, and prints each problem once."""

    def __init__(self):
        self.passed = self.failed = 0

    def ok(self):
        self.passed += 1

    def bad(self, what, why, said=()):
        self.failed += 1
        print(f'FAILED {what}: {why}')
        for line in said[:6]:
            print(f'    {line}')

    def result(self, what, match, said=()):
        """One result line of a single test, and what the test has said."""
        directive = (match[5] or '').upper()
        if directive.startswith(('SKIP', 'TO' 'DO', 'XFAIL', 'XPASS')):
            self.bad(what, f'not run ({match[5].strip()})', said)
        elif match[2] == 'not ok':
            self.bad(what, 'not ok', said)
        elif directive.startswith(('TIMEOUT', 'ERROR')):
            self.bad(what, match[5].strip())
        else:
            self.ok()

    def finish(self):
        print(f'{self.passed} passed, {self.failed} failed')
        return 1 if self.failed or not self.passed else 0


def kunit(args, text):
    """Suites are results at the margin, cases those one level deeper."""
    judge = Judge()
    seen, cases, plan, suites, last = {}, [], None, None, 0
    inside = False
    for line in text:
        line = STAMP.sub('', line.rstrip()).expandtabs(4)
        if re.match(r'^(KTAP|TAP) version', line):
            inside = True
        if not inside:
            continue
        match = PLAN.match(line)
        if match:
            if not match[1]:
                suites = int(match[2])
            elif len(match[1]) == 4:
                plan = int(match[2])
        match = RESULT.match(line)
        if not match:
            continue
        if len(match[1]) > 4 and (match[5] or '').upper().startswith('SKIP'):
            judge.bad(match[4] or line.strip(), 'a parameter was not run')
        elif len(match[1]) == 4:
            cases.append(match)
        elif not match[1]:
            suite, last = match[4], int(match[3])
            for case in cases:
                judge.result(f'{suite}.{case[4]}', case)
            if plan != len(cases):
                judge.bad(suite, f'{plan} cases planned, {len(cases)} seen')
            elif match[2] == 'not ok' and all(c[2] == 'ok' for c in cases):
                judge.bad(suite, 'not ok outside its cases')
            seen[suite] = len(cases)
            cases, plan = [], None
    if suites is None:
        judge.bad('kunit', 'no KTAP output')
    elif last != suites or cases:
        judge.bad('kunit', f'unfinished: {last} of {suites} suites')

    want, other = {}, []
    for line in expected_lines(args.expected):
        if len(line) < 3 or line[2] == args.arch:
            want[line[0]] = (int(line[1]), line)
        else:
            other.append(line)
    if args.update:
        lines = [' '.join([suite, str(count)] + (want[suite][1][2:] if suite in want else []))
                 for suite, count in seen.items()]
        rewrite(args.expected, lines + [' '.join(line) for line in other])
        print(f'{args.expected}: {len(seen)} suites written')
    else:
        for suite, (count, _) in want.items():
            if suite not in seen:
                judge.bad(suite, 'the suite did not run')
            elif seen[suite] < count:
                judge.bad(suite, f'{seen[suite]} cases ran, {count} are expected')
        for suite, count in seen.items():
            if suite not in want or count > want[suite][0]:
                judge.bad(suite, f'{count} cases are not all in kunit/EXPECTED (--update writes it)')
    return judge.finish()


def selftest(args, text):
    """Each program's output stands between its BEGIN and END lines."""
    judge = Judge()
    seen = {}
    program, tests, plan, status = None, [], None, None
    said = []

    def close():
        if status is None:
            judge.bad(program, 'the guest stopped while it ran')
        elif status != '0':
            judge.bad(program, f'ended with {status}')
        numbers = [int(match[3]) for match in tests]
        if plan is None:
            judge.bad(program, 'no plan')
        elif numbers != list(range(1, plan + 1)):
            judge.bad(program, f'{plan} tests planned, results of {numbers} seen')

    for line in text:
        line = line.rstrip('\r\n')
        mark = re.match(r'^#@ (BEGIN|END) (\S+) ?(.*)$', line)
        if mark and mark[1] == 'BEGIN':
            if program:
                close()
            program, tests, plan, status = mark[2], [], None, None
            said = []
            seen[program] = {}
        elif mark and mark[2] == program:
            status = mark[3]
            close()
            program = None
        elif program:
            if not plan and PLAN.match(line):
                plan = int(PLAN.match(line)[2])
            if re.match(r'^# (?!Starting )[^ ]', line):
                said.append(line)
            match = RESULT.match(line)
            if match and not match[1]:
                tests.append(match)
                name = match[4] or f'number {match[3]}'
                if name in seen[program]:
                    judge.bad(f'{program} {name}', 'two results')
                seen[program][name] = match
                judge.result(f'{program} {name}', match, said)
                said = []
    if program:
        close()

    wanted = [line for line in expected_lines(args.expected)]
    if args.update:
        keep = [' '.join(line) for line in wanted if line[0] not in args.programs]
        new = [f'{p} {t}' for p in args.programs for t in seen.get(p, {})]
        rewrite(args.expected, sorted(keep + new))
        print(f'{args.expected}: {len(new)} tests written')
        wanted = [line for line in expected_lines(args.expected)]
    names = {program: set() for program in args.programs}
    for line in wanted:
        if line[0] in names:
            names[line[0]].add(' '.join(line[1:]))
    for name, tests in names.items():
        if name not in seen:
            judge.bad(name, 'did not run')
            continue
        for test in sorted(tests - set(seen[name])):
            judge.bad(f'{name} {test}', 'in EXPECTED, but there was no result')
        for test in sorted(set(seen[name]) - tests):
            judge.bad(f'{name} {test}', 'is not in selftests/EXPECTED (--update writes it)')
    return judge.finish()


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split('usage: ')[1].split(' <')[0])
    parser.add_argument('mode', choices=['kunit', 'selftest'])
    parser.add_argument('expected')
    parser.add_argument('programs', nargs='*')
    parser.add_argument('--arch', choices=['uml', 'qemu'], default='uml')
    parser.add_argument('--update', action='store_true')
    args = parser.parse_intermixed_args()
    sys.stdin.reconfigure(errors='backslashreplace')
    judge = kunit if args.mode == 'kunit' else selftest
    sys.exit(judge(args, sys.stdin))


if __name__ == '__main__':
    main()
