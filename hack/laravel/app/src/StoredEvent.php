<?php

declare(strict_types=1);

namespace StandIn;

use RuntimeException;

/** A row of stored_events. */
final class StoredEvent
{
    /** Aliases of config/event-sourcing.php. */
    public const ALIASES = [
        'reciter.created', 'reciter.changed.name', 'reciter.changed.avatar', 'reciter.changed.description', 'reciter.deleted', 'reciter.viewed',
        'album.created', 'album.changed.title', 'album.changed.year', 'album.changed.artwork', 'album.deleted', 'album.viewed',
        'track.created', 'track.changed.title', 'track.changed.audio', 'track.changed.video', 'track.changed.lyrics', 'track.deleted', 'track.viewed',
        'user.registered', 'user.changed.name', 'user.changed.email', 'user.changed.nickname', 'user.changed.password',
        'auth.login', 'auth.logout', 'auth.password.reset.requested', 'accounts.saves.track.added', 'accounts.saves.track.removed',
        'drafts.lyrics.created', 'drafts.lyrics.changed', 'drafts.lyrics.published', 'drafts.lyrics.deleted',
    ];

    /** @param array<string, mixed> $payload */
    private function __construct(
        public readonly int $id,
        public readonly string $alias,
        public readonly array $payload,
        public readonly string $createdAt,
    ) {
    }

    /** @param array<string, mixed> $row */
    public static function of(array $row): self
    {
        if (!in_array($row['event_class'], self::ALIASES, true)) {
            throw new RuntimeException("Failed to unserialize an event of class {$row['event_class']}: there is no such class.");
        }
        return new self((int) $row['id'], $row['event_class'], json_decode($row['event_properties'], true, 512, JSON_THROW_ON_ERROR), $row['created_at']);
    }

    public static function find(int $id): self
    {
        $row = Database::events()->first('select * from "stored_events" where "stored_events"."id" = ? limit 1', [$id]);
        return $row === null ? throw new RuntimeException("No query results for model StoredEvent $id") : self::of($row);
    }

    /** A key that the event's class requires. */
    public function __get(string $key): mixed
    {
        if (!array_key_exists($key, $this->payload)) {
            throw new RuntimeException("Event $this->id lacks $key.");
        }
        return $this->payload[$key];
    }

    /** The id of the entity that the event is about; the row's own is $id. */
    public function id(): string
    {
        return $this->__get('id');
    }

    public function userId(): ?string
    {
        return $this->payload['userId'] ?? null;
    }

    /**
     * The live write path: a row, its own id in its meta data, the synchronous
     * projectors, and a job for the queued ones. No transaction spans any of it.
     *
     * @param array<string, mixed> $payload
     */
    public static function store(string $alias, array $payload): self
    {
        $now = date('Y-m-d H:i:s');
        $events = Database::events();
        $id = (int) $events->run(
            'insert into "stored_events" ("event_properties", "aggregate_uuid", "aggregate_version", "event_version", "event_class", "meta_data", "created_at")'
            . ' values (?, ?, ?, ?, ?, ?, ?) returning "id"',
            [json_encode($payload, JSON_THROW_ON_ERROR), null, null, 1, $alias, json_encode(['created-at' => $now]), $now],
        )->fetchColumn();
        $events->run('update "stored_events" set "meta_data" = ? where "id" = ?', [json_encode(['created-at' => $now, 'stored-event-id' => $id]), $id]);
        $stored = self::find($id);
        Projectionist::live($stored);
        Queue::push('events', $id);
        return $stored;
    }
}
