// Package argocd runs the Lua of config/argocd as Argo CD does: the interpreter
// is the same, the manifest is the global obj, and of Lua's libraries only those
// that reach nothing are there.
package argocd

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	lua "github.com/yuin/gopher-lua"
)

// limit is how long Argo CD lets a script run.
const limit = time.Second

// Run runs a script on a manifest and returns what the script returns.
func Run(ctx context.Context, script string, manifest map[string]any) (map[string]any, error) {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	state.SetContext(ctx)
	for name, open := range map[string]lua.LGFunction{
		lua.LoadLibName: lua.OpenPackage, lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable, lua.StringLibName: lua.OpenString,
	} {
		if err := state.CallByParam(lua.P{Fn: state.NewFunction(open), Protect: true}, lua.LString(name)); err != nil {
			return nil, fmt.Errorf("open the library %q: %w", name, err)
		}
	}
	state.SetGlobal("obj", toLua(state, manifest))
	if err := state.DoString(script); err != nil {
		return nil, fmt.Errorf("run the script: %w", err)
	}
	returned, isMap := fromLua(state.Get(-1)).(map[string]any)
	if !isMap {
		return nil, errors.New("the script returns no table")
	}
	return returned, nil
}

func toLua(state *lua.LState, value any) lua.LValue {
	switch value := value.(type) {
	case bool:
		return lua.LBool(value)
	case string:
		return lua.LString(value)
	case float64:
		return lua.LNumber(value)
	case int64:
		return lua.LNumber(value)
	case map[string]any:
		table := state.NewTable()
		for key, inner := range value {
			table.RawSetString(key, toLua(state, inner))
		}
		return table
	case []any:
		table := state.NewTable()
		for _, inner := range value {
			table.Append(toLua(state, inner))
		}
		return table
	}
	return lua.LNil
}

func fromLua(value lua.LValue) any {
	switch value := value.(type) {
	case lua.LBool:
		return bool(value)
	case lua.LString:
		return string(value)
	case lua.LNumber:
		if number := float64(value); number != math.Trunc(number) {
			return number
		}
		return int64(value)
	case *lua.LTable:
		return fromTable(value)
	}
	return nil
}

// fromTable makes a list of a table that counts from 1, and a map of any other.
// Lua does not know an empty list from an empty map.
func fromTable(table *lua.LTable) any {
	if n := table.MaxN(); n > 0 {
		list := make([]any, 0, n)
		for i := 1; i <= n; i++ {
			list = append(list, fromLua(table.RawGetInt(i)))
		}
		return list
	}
	object := map[string]any{}
	table.ForEach(func(key, inner lua.LValue) { object[key.String()] = fromLua(inner) })
	return object
}
