<?php

declare(strict_types=1);

namespace StandIn\Projectors;

use StandIn\Projector;
use StandIn\Slug;
use StandIn\StoredEvent;

final class Tracks extends Projector
{
    public function handles(): array
    {
        return ['track.created' => 'created', 'track.changed.title' => 'titled', 'track.changed.lyrics' => 'lyrics', 'track.changed.audio' => 'audio',
            'track.changed.video' => 'video', 'track.deleted' => 'deleted'];
    }

    public function resetState(): void
    {
        self::data()->script('truncate table "tracks" restart identity cascade');
    }

    public function created(StoredEvent $event): void
    {
        $album = self::findOrFail('albums', $event->albumId);
        $title = $event->attributes['title'];
        self::data()->insert('tracks', ['id' => $event->id(), 'album_id' => $album['id'], 'reciter_id' => $album['reciter_id'], 'title' => $title,
            'slug' => Slug::unique($title, 'tracks', $event->id(), ['album_id' => $album['id']])] + self::timestamps());
    }

    public function titled(StoredEvent $event): void
    {
        $this->change($event, ['title' => $event->title]);
    }

    public function lyrics(StoredEvent $event): void
    {
        $document = $event->document;
        $this->change($event, ['lyrics' => $document === null ? null : json_encode(['content' => $document['content'], 'format' => $document['format']], JSON_THROW_ON_ERROR)]);
    }

    public function audio(StoredEvent $event): void
    {
        $this->change($event, ['audio' => $event->path]);
    }

    public function video(StoredEvent $event): void
    {
        $this->change($event, ['video' => $event->url]);
    }

    public function deleted(StoredEvent $event): void
    {
        $row = self::findOrFail('tracks', $event->id());
        self::data()->run('delete from "tracks" where "id" = ?', [$row['id']]);
    }

    /** Whatever changes, the slug is made anew. */
    private function change(StoredEvent $event, array $changes): void
    {
        $row = self::findOrFail('tracks', $event->id());
        $column = array_key_first($changes);
        if ($row[$column] !== $changes[$column]) {
            $changes['slug'] = Slug::unique($changes['title'] ?? $row['title'], 'tracks', $row['id'], ['album_id' => $row['album_id']]);
        }
        self::save('tracks', $row, $changes);
    }
}
