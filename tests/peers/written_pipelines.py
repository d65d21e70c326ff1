"""Pipelines that are written out: of the shape of DVC's public examples, and one for each rule.

Each is a project: texts of files by path. `PARAMS` is the `params.yaml` of those that need one.
"""

from __future__ import annotations

PUBLIC: dict[str, dict[str, str]] = {
    "tags of questions": {
        "params.yaml": """\
prepare: {split: 0.20, seed: 20170428}
featurize: {max_features: 200, ngrams: 2}
train: {seed: 20170428, n_est: 50, min_split: 0.01}
""",
        "dvc.yaml": """\
stages:
  prepare:
    cmd: python src/prepare.py data/data.xml
    deps: [data/data.xml, src/prepare.py]
    params: [prepare.seed, prepare.split]
    outs: [data/prepared]
  featurize:
    cmd: python src/featurization.py data/prepared data/features
    deps: [data/prepared, src/featurization.py]
    params: [featurize.max_features, featurize.ngrams]
    outs: [data/features]
  train:
    cmd: python src/train.py data/features model.pkl
    deps: [data/features, src/train.py]
    params: [train.min_split, train.n_est, train.seed]
    outs: [model.pkl]
  evaluate:
    cmd: python src/evaluate.py model.pkl data/features
    deps: [data/features, model.pkl, src/evaluate.py]
    outs:
    - eval/live
    - eval/prc: {cache: false}
metrics: [eval/live/metrics.json]
plots:
- ROC:
    template: simple
    x: fpr
    y:
      eval/live/plots/sklearn/roc/train.json: tpr
      eval/live/plots/sklearn/roc/test.json: tpr
- eval/importance.png
""",
    },
    "several data sets": {
        "params.yaml": """\
datasets:
  us: {url: "s3://b/us.csv", target: price}
  de: {url: "s3://b/de.csv", target: preis}
models: [ridge, forest]
threshold: 0.9
""",
        "dvc.yaml": """\
vars:
- raw: data/raw
- config/paths.yaml
stages:
  download:
    foreach: ${datasets}
    do:
      cmd: mkdir -p ${raw} && fetch ${item.url} > ${raw}/${key}.csv
      outs: ["${raw}/${key}.csv"]
  clean:
    foreach: ${datasets}
    do:
      cmd: python clean.py --target ${item.target} ${raw}/${key}.csv ${out.clean}/${key}.csv
      deps: [clean.py, "${raw}/${key}.csv"]
      outs: ["${out.clean}/${key}.csv"]
  train:
    matrix:
      data: [us, de]
      model: ${models}
    cmd: python train.py ${out.clean}/${item.data}.csv ${item.model} ${out.models}/${key}.bin
    deps: ["${out.clean}/${item.data}.csv", train.py]
    params: [threshold]
    outs: ["${out.models}/${key}.bin"]
    metrics:
    - metrics/${key}.json: {cache: false}
""",
        "config/paths.yaml": "out: {clean: data/clean, models: models}\n",
    },
    "parts of one repository": {
        "dvc.yaml": """\
stages:
  merge:
    cmd: cat one/out.txt two/out.txt > all.txt
    deps: [one/out.txt, two/out.txt]
    outs: [all.txt]
""",
        "one/dvc.yaml": """\
stages:
  make:
    cmd: python make.py ${n}
    deps: [make.py, ../shared]
    params: [n, {../common.yaml: [seed]}]
    outs: [out.txt]
""",
        "one/params.yaml": "n: 1\n",
        "two/dvc.yaml": """\
vars: [../common.yaml:seed]
stages:
  make:
    wdir: ..
    cmd: python one/make.py --seed ${seed}
    deps: [one/make.py, one/out.txt]
    outs: [two/out.txt]
""",
        "common.yaml": "seed: 7\n",
    },
    "deep learning with options": {
        "params.yaml": """\
data: {size: [224, 224], normalize: true, augment: false}
train: {lr: 1.0e-4, epochs: 20, optimizer: {name: adam w, betas: [0.9, 0.999]}, resume: null}
""",
        "dvc.yaml": r"""
stages:
  data:
    cmd: python data.py ${data}
    deps: [data.py, images]
    outs:
    - arrays: {persist: true, desc: "at ${data.size[0]} pixels"}
  train:
    cmd:
    - python train.py ${train} --device '\${CUDA}'
    - python export.py --epochs ${train.epochs} ${train.optimizer}
    deps: [train.py, arrays]
    params: [train, data.size]
    outs:
    - model.onnx: {type: model, labels: [image, "v1"], meta: {framework: onnx}}
    plots:
    - dvclive/plots/metrics: {x: step}
    - pred.csv: {cache: false, template: confusion, x: actual, y: predicted, header: true}
artifacts:
  classifier: {path: model.onnx, type: model, desc: sees cats, labels: [cv]}
""",
    },
    "what dvclive writes": {
        "dvc.yaml": """\
params: [dvclive/params.yaml]
metrics: [dvclive/metrics.json]
plots:
- dvclive/plots/metrics: {x: step}
- dvclive/plots/custom/pr.json: {template: linear, x: a, y: b, title: P}
artifacts:
  mymodel: {path: model.bin, type: model}
""",
    },
}

PARAMS = """\
l: [true, null, 1.50, a]
d: {x: 1, y: {z: q r}, on: true, off: false, nul: null, some: [1, "b c"], none: [], f: 1.0e-3}
n: 3
s: abc
ini: {1: a, b: c}
t: [{a: 1}, 2]
lr: 0.1
b: true
big: 12345678901234567890
item: 5
"""

GRAMMAR: dict[str, str] = {
    "an empty file": "",
    "a comment": "# nothing yet\n",
    "no stages": "stages: {}",
    "a list": "stages: {a: {foreach: [true, null, 1.50, x y, a/b], do: {cmd: 'x ${item}'}}}",
    "a list from a file": "stages: {a: {foreach: '${l}', do: {cmd: 'x ${item}'}}}",
    "a list of variables": "stages: {a: {foreach: ['${b}', 'p${lr}'], do: {cmd: 'x ${item}'}}}",
    "a list with a mapping in it": "stages: {a: {foreach: '${t}', do: {cmd: 'x ${key}'}}}\n"
    "vars: [{key: 1}]",
    "a list of mappings":
        "stages: {a: {foreach: [{k: 1, v: z}, {k: [1, 2], v: y}], do: {cmd: 'x ${item[v]}'}}}",
    "no elements": "stages: {a: {foreach: [], do: {cmd: x}}}",
    "a mapping": "stages: {a: {foreach: {u: 1, v: [2]}, do: {cmd: 'x ${key}'}}}",
    "a mapping from a file": "stages: {a: {foreach: '${d}', do: {cmd: 'x ${key}'}}}",
    "numbers as keys": "stages: {a: {foreach: {1: u, 2.5: v}, do: {cmd: 'x ${key} ${item}'}}}",
    "numbers as keys of a file": "stages: {a: {foreach: '${ini}', do: {cmd: 'x ${key}'}}}",
    "keys with variables": "stages: {a: {foreach: {'k${n}': '${lr}'}, do: {cmd: 'x ${item}'}}}",
    "equal names": "stages: {a: {foreach: [1, '1', 1.0], do: {cmd: 'x ${item}'}}}",
    "a matrix": "stages: {a: {matrix: {m: [x, y], k: [1, {a: 1}, [1, 2], true, null, 1.50]},"
    " cmd: 'x ${item.m} ${key}'}}",
    "a matrix from files": "stages: {a: {matrix: {m: '${l}', k: ['${b}', true, '${t}']},"
    " cmd: 'x ${item.m} ${key}'}}",
    "a matrix over keys": "stages: {a: {matrix: {m: '${d}'}, cmd: 'x ${item.m} ${key}'}}",
    "a matrix of nothing": "stages: {a: {matrix: {m: [], k: [1]}, cmd: x}}",
    "item as a variable":
        "stages: {a: {foreach: [1], do: {cmd: 'x ${item}'}}, c: {cmd: 'y ${item}'}}",
    "flags": "stages: {a: {cmd: 'x ${d} ${ini} y'}}",
    "flags in a list": "stages: {a: {cmd: ['x ${d.y}', '${s}', 'z ${n}']}}",
    "kinds of text": "stages: {a: {cmd: 'x ${b} ${l[1]} ${lr} ${d.f} ${big} ${s}'}}",
    "ways to name": "stages: {a: {cmd: 'x ${l[ 0 ]} ${l[-1]} ${ d.y.z } ${d[y].z} ${d[y] .z}'}}",
    "what is no template": r"stages: {a: {cmd: 'x $n $${n} \${n} {n} $(n) ${n \\${n'}}",
    "everywhere": "stages: {a: {cmd: x, desc: 'd ${n}', meta: {'k${n}': ['${b}', {z: '${lr}'}]},"
    " deps: ['i${n}'], params: ['${s}', {'p-${n}.yaml': null}, {'${s}.yaml': ['k${n}']}],"
    " outs: ['o${n}', {'u${n}': {desc: '${s}', meta: {a: '${n}'}, labels: ['${s}']}}],"
    " plots: [{'p${n}': {x: '${s}', title: 't ${n}'}}], wdir: 'w${n}'}}",
    "a folder of the stage":
        "stages: {a: {wdir: w, cmd: 'x ${lr} ${w}', params: [lr], vars: [v.yaml]}}",
    "variables of a stage": "stages: {a: {cmd: 'x ${d.x} ${d.u} ${v}', vars: [{d: {u: 2}, v: 3}]},"
    " c: {cmd: 'x ${d.u}', vars: [{d: {u: 4}}]}}",
    "variables of a template":
        "stages: {a: {foreach: [p, q], do: {cmd: 'x ${v}', vars: [{v: 3}]}}}",
    "variables": "vars: [{v: 1, d: {u: {k: 1}}}, {d: {u: {m: 2}}}, other.json, params.yaml,"
    " 'part.toml:tt', 'part.toml:u,', mod.py]\n"
    "stages: {a: {cmd: 'x ${v} ${d} ${j} ${tt} ${u} ${Cfg.LR} ${SEED[1]}'}}",
    "outputs":
        "stages: {a: {cmd: x, outs: [p, {p: {cache: false}}, {q: {}, r: {push: false}}, {}]}}",
    "parameters": "stages: {a: {cmd: x, params: [n, lr, {f.json: [a]}, {f.json: [b.c]}, s,"
    " {g.toml: }, {g.toml: [z]}, 'f.json:']}}",
    "all parameters": "stages: {a: {cmd: x, params: [n, {c.py: []}, {params.yaml: }, lr]}}",
    "flags of a stage": "stages: {a: {cmd: [x, y], frozen: true, always_changed: true}}",
    "addresses": "stages: {a: {cmd: x, deps: ['https://e.org/x', /abs/olute, ../up, ./here/]}}",
    "names": "stages: {'with space': {cmd: x}, 'a.b/c': {cmd: y}, -1-: {cmd: z}}",
    "beside": "metrics: ['m${n}.json']\nparams: ['${s}.yaml']\n"
    "plots: ['p${n}', {q: {x: '${s}', y: ['${s}']}}, {r: }, {w: {y: '${l}'}}]\n"
    "artifacts: {'a${n}': {path: 'x${n}', type: '${s}', labels: [l], meta: '${d}'}}\n"
    "datasets: [{name: z, type: dvc, url: '${s}'}]",
}  # fmt: skip

OTHERS = {
    "params.yaml": PARAMS,
    "other.json": '{"j": "k"}',
    "part.toml": "tt = 1\nu = 'a'\nunused = 2020\n",
    "mod.py": "SEED = [1, 2]\nclass Cfg:\n    LR: float = 0.25\n    X = f(1)\n",
    "w/params.yaml": "lr: 9\n",
    "w/v.yaml": "w: 2\n",
}

BROKEN: dict[str, str] = {
    "an unknown key": "stages: {a: {cmd: x, dep: [y]}}",
    "an unknown key beside": "stage: {}",
    "no cmd": "stages: {a: {deps: [x]}}",
    "a null cmd": "stages: {a: {cmd: }}",
    "stages that are null": "stages:",
    "a wrong type": "stages: {a: {cmd: x, deps: y}}",
    "a name that is no text": "stages: {1: {cmd: x}}",
    "a key twice": "stages: {a: {cmd: x}, a: {cmd: y}}",
    "conflict markers":
        "stages:\n  a:\n<<<<<<< HEAD\n    cmd: x\n=======\n    cmd: y\n>>>>>>> b\n",
    "a variable for a flag": "stages: {a: {cmd: x, frozen: '${b}'}}",
    "a variable for the flag of an output": "stages: {a: {cmd: x, outs: [{o: {cache: '${b}'}}]}}",
    "a variable for a list": "stages: {a: {cmd: x, deps: '${l}'}}",
    "an output without properties": "stages: {a: {cmd: x, outs: [{o: }]}}",
    "a label that is no text": "stages: {a: {cmd: x, outs: [{o: {labels: [1]}}]}}",
    "an unknown name": "stages: {a: {cmd: 'x ${nope.x}'}}",
    "an unknown position": "stages: {a: {cmd: 'x ${l[5]}'}}",
    "into a number": "stages: {a: {cmd: 'x ${lr[0]}'}}",
    "a list in text": "stages: {a: {cmd: 'x ${l}'}}",
    "a mapping in a path": "stages: {a: {cmd: x, deps: ['p${d}']}}",
    "a list as a dependency": "stages: {a: {cmd: x, deps: ['${l}']}}",
    "a mapping in meta": "stages: {a: {cmd: x, meta: '${d}'}}",
    "a list of lists as a flag": "vars: [{z: {k: [[1]]}}]\nstages: {a: {cmd: 'x ${z}'}}",
    "nothing named": "stages: {a: {cmd: 'x ${}'}}",
    "two dots": "stages: {a: {cmd: 'x ${a..b}'}}",
    "an open bracket": "stages: {a: {cmd: 'x ${l[0}'}}",
    "after a bracket": "stages: {a: {cmd: 'x ${l[0]z}'}}",
    "a name within a name": "stages: {a: {cmd: 'x ${d.${s}}'}}",
    "item outside of a template": "stages: {a: {cmd: 'x ${key}'}}",
    "key of a list": "stages: {a: {foreach: [1], do: {cmd: 'x ${key}'}}}",
    "variables in variables": "vars: [{z: '${n}'}]\nstages: {a: {cmd: x}}",
    "variables in variables of a stage": "stages: {a: {cmd: x, vars: [{z: '${n}'}]}}",
    "a missing file": "vars: [nofile.yaml]\nstages: {a: {cmd: x}}",
    "a missing key": "vars: ['part.toml:nope']\nstages: {a: {cmd: x}}",
    "a folder": "vars: [w]\nstages: {a: {cmd: x}}",
    "a file that is a list": "vars: [list.yaml]\nstages: {a: {cmd: x}}",
    "a file that does not parse": "vars: [bad.json]\nstages: {a: {cmd: x}}",
    "set twice": "vars: [{lr: 1}]\nstages: {a: {cmd: x}}",
    "set twice, deeply": "vars: [{d: {y: {z: 1}}}]\nstages: {a: {cmd: x}}",
    "a mapping over a number": "vars: [{lr: {z: 1}}]\nstages: {a: {cmd: x}}",
    "set twice by a stage": "stages: {a: {cmd: x, vars: [{lr: 1}]}}",
    "a part of params.yaml": "vars: ['params.yaml:lr']\nstages: {a: {cmd: x}}",
    "a whole after a part": "vars: ['part.toml:tt', part.toml]\nstages: {a: {cmd: x}}",
    "a part twice": "vars: ['part.toml:tt', 'part.toml:tt']\nstages: {a: {cmd: x}}",
    "no list of variables": "vars: {z: 1}\nstages: {a: {cmd: x}}",
    "a number as variables": "vars: [1]\nstages: {a: {cmd: x}}",
    "item set by a stage": "stages: {a: {foreach: [1], do: {cmd: x, vars: [{item: 1}]}}}",
    "key set by a matrix": "stages: {a: {matrix: {m: [1]}, cmd: x, vars: [{key: 1}]}}",
    "its own variables in wdir": "stages: {a: {cmd: x, wdir: '${v}', vars: [{v: w}]}}",
    "foreach without do": "stages: {a: {foreach: [1]}}",
    "do without foreach": "stages: {a: {do: {cmd: x}}}",
    "a key beside foreach": "stages: {a: {foreach: [1], do: {cmd: x}, deps: [y]}}",
    "a matrix beside foreach": "stages: {a: {foreach: [1], do: {cmd: x}, matrix: {m: [1]}}}",
    "foreach over a text": "stages: {a: {foreach: '${s}', do: {cmd: x}}}",
    "foreach over a word": "stages: {a: {foreach: abc, do: {cmd: x}}}",
    "foreach over a number": "stages: {a: {foreach: 3, do: {cmd: x}}}",
    "foreach over an unknown name": "stages: {a: {foreach: '${nope}', do: {cmd: x}}}",
    "foreach over variables of a stage":
        "stages: {a: {foreach: '${v}', do: {cmd: x, vars: [{v: [1]}]}}}",
    "a matrix over a text": "stages: {a: {matrix: {m: '${s}'}, cmd: x}}",
    "a matrix over a number": "stages: {a: {matrix: {m: 3}, cmd: x}}",
    "an empty matrix": "stages: {a: {matrix: {}, cmd: x}}",
    "an element that lacks a key": "stages: {a: {foreach: '${t}', do: {cmd: 'x ${item.a}'}}}",
    "an artifact without path": "artifacts: {a: {desc: x}}",
    "an unknown key of an artifact": "artifacts: {a: {path: x, foo: 1}}",
    "an unknown name beside": "metrics: ['m${nope}']",
    "metrics that are no list": "metrics: m.json",
    "a number as data sets": "datasets: 5",
}  # fmt: skip

BROKEN_OTHERS = OTHERS | {"list.yaml": "- 1\n", "bad.json": '{"a": \n}'}
