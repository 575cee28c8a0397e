"""Provider clients whose calls are judged: what goes in, what comes out, tool calls and tool results, streams too."""
