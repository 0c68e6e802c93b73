"""Names of a graph's inputs and outputs: skl2onnx knows letters, digits and underscores, ONNX any text."""


def rename(graph, inputs, outputs):
    """Give inputs and outputs of a graph other names, in place; both are new names by those that they have.

    An output that would be named as an input gets a number; so does what lies between them.
    """
    names = dict(inputs)
    taken = {*inputs.values()}
    for old in (*outputs, *sorted(_made(graph) - names.keys() - outputs.keys())):
        names[old] = _free(outputs.get(old, old), taken)
        taken.add(names[old])
    _rename(graph, names)


def _free(name, taken):
    number, found = 0, name
    while found in taken:
        number += 1
        found = f"{name}_{number}"
    return found


def _made(graph):
    """Return the names of all values, those of subgraphs too."""
    names = {value.name for value in (*graph.input, *graph.output, *graph.initializer)}
    for node in graph.node:
        names |= {*node.output}
        for part in _subgraphs(node):
            names |= _made(part)
    return names - {""}


def _subgraphs(node):
    return [part.g for part in node.attribute if part.HasField("g")]


def _rename(graph, names):
    parts = graph.input, graph.output, graph.initializer, graph.value_info
    for value in (value for part in parts for value in part):
        value.name = names.get(value.name, value.name)
    for node in graph.node:
        for part in (node.input, node.output):
            part[:] = [names.get(name, name) for name in part]
        for part in _subgraphs(node):
            _rename(part, names)
