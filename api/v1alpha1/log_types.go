package v1alpha1

// LogPreset names a kind of log that is known.
//
// +kubebuilder:validation:Enum=Nawhas;SpatieStoredEvents
type LogPreset string

// The presets.
const (
	// LogNawhas is the log that `nawhas source init` makes: public.events.
	LogNawhas LogPreset = "Nawhas"
	// LogSpatieStoredEvents is the log of spatie/laravel-event-sourcing: public.stored_events.
	LogSpatieStoredEvents LogPreset = "SpatieStoredEvents"
)

// LogSpec says how an application keeps its log: in which table, under which names, and what it writes there. What
// is set takes the place of what the preset says. The table is checked against it before anything is built.
type LogSpec struct {
	// preset says what holds where nothing else is set: Nawhas is the table public.events as `nawhas source init`
	// makes it, SpatieStoredEvents the table public.stored_events of spatie/laravel-event-sourcing.
	// +kubebuilder:default=Nawhas
	// +optional
	Preset LogPreset `json:"preset,omitempty"`

	// schema of the table.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +optional
	Schema string `json:"schema,omitempty"`

	// table that holds the events, one in a row.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +optional
	Table string `json:"table,omitempty"`

	// columns are the names of the table's columns. They take the place of all of the preset's.
	// +optional
	Columns *LogColumns `json:"columns,omitempty"`

	// timeZone is the zone in which the times of columns.recordedAt are, when that column is a timestamp without one.
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$')",message="timeZone must be the name of a time zone, such as UTC or Europe/Berlin"
	// +kubebuilder:validation:MaxLength=64
	// +optional
	TimeZone string `json:"timeZone,omitempty"`

	// appending says what the application writes into the table besides columns. It takes the place of the preset's.
	// +optional
	Appending *LogAppending `json:"appending,omitempty"`
}

// LogColumns are the names of a log's columns.
//
// +kubebuilder:validation:XValidation:rule="[self.position, self.name, self.payload, self.recordedAt].all(n, [self.position, self.name, self.payload, self.recordedAt].filter(m, m == n).size() == 1)",message="position, name, payload and recordedAt must be columns of their own"
type LogColumns struct {
	// position orders the log: an integer that a sequence of its own draws at each INSERT.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +required
	Position string `json:"position,omitempty"`

	// id of an event, a uuid. Without it an event is known by its position and what it says.
	// +kubebuilder:validation:MaxLength=63
	// +optional
	ID string `json:"id,omitempty"`

	// name of the event: what kind it is.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +required
	Name string `json:"name,omitempty"`

	// version of the event's kind. Without it all events are of version 1.
	// +kubebuilder:validation:MaxLength=63
	// +optional
	Version string `json:"version,omitempty"`

	// payload of the event, json or jsonb.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +required
	Payload string `json:"payload,omitempty"`

	// recordedAt is when the event was recorded.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +required
	RecordedAt string `json:"recordedAt,omitempty"`
}

// LogAppending says what an application writes into its log besides the columns of an event. A live version may do so
// and nothing else.
type LogAppending struct {
	// insert are the columns that it sets when it appends an event. The position is never one of them; the time is,
	// where the application sets it.
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	// +optional
	Insert []string `json:"insert,omitempty"`

	// update are the columns that it changes in an event afterwards. A version that is no longer live may go on doing
	// so, to complete what it appended before.
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	// +optional
	Update []string `json:"update,omitempty"`
}
